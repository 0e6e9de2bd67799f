"""Queries in WQL, DMTF:CQL and DMTF:FQL: one lexer, one parser, one evaluation for all three."""

from pycimom.query.evaluation import Classes
from pycimom.query.queries import LANGUAGES, MAX_LENGTH, Query, compile_filter, compile_query

__all__ = ["LANGUAGES", "MAX_LENGTH", "Classes", "Query", "compile_filter", "compile_query"]
