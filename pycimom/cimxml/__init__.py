"""CIM-XML (DSP0201, DSP0203): requests read by lxml, answers written as bytes."""
