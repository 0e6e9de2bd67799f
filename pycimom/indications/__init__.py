"""Indications: filters, destinations, subscriptions, and the delivery of what they select (DSP1054, DSP0200)."""

from pycimom.indications.delivery import DeliverySettings
from pycimom.indications.service import IndicationService, IndicationSettings, IndicationSource

__all__ = ["DeliverySettings", "IndicationService", "IndicationSettings", "IndicationSource"]
