"""What the Xen-API is: types, fields, messages, errors and roles, as declarations and their checks."""
