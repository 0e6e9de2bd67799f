// Follows a pool with xen-api. For each line on stdin that names fields to leave out ("VM.memory VIF_metrics.x ..."),
// compares the collection with get_all_records and prints a line of JSON: the number of objects and the differences.

import { createInterface } from 'node:readline'
import { isDeepStrictEqual } from 'node:util'
import { createClient } from 'xen-api'

const [url, user, password, transport] = process.argv.slice(2)
const xapi = createClient({ url, auth: { user, password }, transport, debounce: 0 })

// XML-RPC gives dates and integers other types than JSON-RPC does; both sides come the same way here.
const plain = (type, record, unsteady) =>
  Object.fromEntries(Object.entries(record).filter(([name]) => !unsteady.has(`${type}.${name}`)))

async function compare(unsteady) {
  await xapi.barrier()
  const followed = {}
  for (const object of Object.values(xapi.objects.all)) {
    ;(followed[object.$type] ??= {})[object.$ref] = object
  }
  const differences = []
  let objects = 0
  const methods = await xapi.call('system.listMethods').catch(() => xapi._call('system.listMethods', []))
  for (const method of methods) {
    const type = /^([^.]+)\.get_all_records$/.exec(method)?.[1]
    if (type === undefined || ['session', 'event', 'role', 'subject', 'user', 'task'].includes(type)) continue
    const records = await xapi.call(method)
    const known = followed[type] ?? {}
    for (const ref of new Set([...Object.keys(records), ...Object.keys(known)])) {
      ++objects
      if (records[ref] === undefined || known[ref] === undefined) {
        differences.push([type, ref, records[ref] === undefined ? 'is gone' : 'is missing'])
        continue
      }
      const [told, kept] = [plain(type, records[ref], unsteady), plain(type, known[ref], unsteady)]
      for (const name of Object.keys({ ...told, ...kept })) {
        if (name !== 'other_config' && !isDeepStrictEqual(told[name], kept[name])) {
          differences.push([type, ref, name, told[name], kept[name]])
        }
      }
    }
  }
  return { objects, differences }
}

await xapi.connect()
await xapi.objectsFetched
console.log('"following"')
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await compare(new Set(line.split(' ')))))
}
await xapi.disconnect()
process.exit(0)
