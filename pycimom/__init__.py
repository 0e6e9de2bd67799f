"""The CIM server: CIM-XML, class repository, broker, pulls, queries, indications, interop."""
