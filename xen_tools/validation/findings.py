"""The rules, and what was found against them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

RULES = {
    "answer": "An operation that every server has is answered, in CIM-XML that can be read.",
    "class.superclass": "The superclass of a class is in its namespace.",
    "class.reference": "A reference leads to a class of its namespace, or of none that is known there.",
    "class.key": "A class that has instances has a key.",
    "class.override": "A class declares an inherited property with the type that it has above.",
    "mof.class": "The class of an instance is in its namespace and is not abstract.",
    "mof.undeclared": "An instance has only properties that its class declares.",
    "mof.type": "A property has the declared type.",
    "mof.array": "A property is an array if, and only if, it is declared so.",
    "mof.key": "A key is not NULL.",
    "mof.required": "A required property is not NULL.",
    "mof.value": "A value is one of the ValueMap.",
    "mof.length": "A string is as long as MinLen and MaxLen say.",
    "mof.range": "A number lies within MinValue and MaxValue.",
    "mof.embedded": "An embedded instance is of the declared class, and keeps these rules itself.",
    "key.path": "The name of an instance has all keys of its class, and nothing else.",
    "key.property": "The key properties say the same as the name.",
    "key.duplicate": "A class has each name once.",
    "key.names": "EnumerateInstanceNames gives the names of what EnumerateInstances gives.",
    "key.get": "GetInstance finds each name that was enumerated.",
    "key.same": "GetInstance gives the instance that was enumerated.",
    "key.wrong": "A name with one key changed is not found, or is no name.",
    "inheritance.missing": "Enumerating a class gives the instances of its subclasses too.",
    "inheritance.foreign": "Enumerating a class gives no instances of others.",
    "reference.class": "A reference leads to an instance of the declared class.",
    "reference.dangling": "A reference leads to an instance that exists.",
    "reference.missing": "References finds each association from each of its ends, by class and by role.",
    "reference.extra": "References finds nothing that is not enumerated, not of the class, or not of the role.",
    "reference.other": "References gives the associations as they are enumerated.",
    "associator.missing": "Associators finds the other end of each association, by class and by role.",
    "associator.extra": "Associators finds nothing else.",
    "associator.other": "Associators gives the instances as they are enumerated.",
    "reference.most": "An instance is associated with no more others than Max says.",
    "reference.least": "An instance is associated with at least as many others as Min says.",
    "profile.interop": "The Interop namespace has the registered profiles, with what tells them apart.",
    "profile.unique": "A profile is registered once.",
    "profile.conforms": "A profile leads to what conforms to it, or is one that such a profile refers to.",
    "profile.direction": "What conforms to a profile leads back to it.",
    "profile.reference": "A profile refers to those that it is made of, itself being the Dependent.",
    "profile.element": "A profile's mandatory elements are there.",
    "profile.property": "A profile's mandatory properties are not NULL.",
    "profile.link": "A profile's mandatory associations are there.",
}


@dataclass(frozen=True, order=True)
class Finding:
    """A violation: the rule, the class or the instance that breaks it, and how."""

    rule: str
    namespace: str
    subject: str
    text: str


@dataclass
class Findings:
    """What was found so far; the same is found once."""

    found: dict[Finding, None] = field(default_factory=dict)

    def add(self, rule: str, namespace: str, subject: object, text: str) -> None:
        """Note a violation."""
        if rule not in RULES:
            raise ValueError(rule)
        self.found.setdefault(Finding(rule, namespace, str(subject), text))

    def counted(self) -> Counter[str]:
        """Return how often each rule was broken."""
        return Counter(each.rule for each in self.found)
