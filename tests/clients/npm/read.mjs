// Reads all VMs with async-xenapi, starts the one named, and prints its record.

import xenapi from 'async-xenapi'

const [url, user, password, vm] = process.argv.slice(2)
const session = new xenapi.AsyncXenAPISession(url)
await session.login_with_password(user, password)
try {
  const vms = await session.xenapi.VM.get_all()
  await session.xenapi.VM.start(vm, false, false)
  console.log(JSON.stringify({ vms, record: await session.xenapi.VM.get_record(vm) }))
} finally {
  await session.logout()
}
