"""What model calls cost, from a table of list prices, where the library did not export it.

A call has a cost if its model is in the table and its tokens are known, otherwise none: zero never means "unknown".
"""

from collections.abc import Iterator, Sequence
from datetime import date
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError

from collector.core.errors import UserError
from collector.core.model import LLMCall, Trace
from collector.core.settings import Settings

_MILLION = 1e6
_LONGEST_NAME = 200  # of a model; what is longer is none


class PricesConfig(Settings):
    """What calls cost whose cost the library does not export."""

    file: Path | None = Field(None, description="a table of your own, asked first; YAML or JSON as docs/prices.md says")
    built_in: bool = Field(True, description="use the list prices that Driftline comes with")


class Price(Settings):
    """The prices of some models, in US dollars per million tokens.

    model: names, `*` stands for anything; case does not matter. cached_input, cache_write: of input tokens read from or
    written to the provider's cache; as `input` if not given. reasoning: of output tokens; as `output` if not given.
    """

    model: tuple[str, ...] = Field(min_length=1)
    input: float = Field(ge=0)
    output: float | None = Field(None, ge=0)
    cached_input: float | None = Field(None, ge=0)
    cache_write: float | None = Field(None, ge=0)
    reasoning: float | None = Field(None, ge=0)


class ProviderPrices(Settings):
    """The models of one provider, whose name is matched as models' names are; `*` is any provider."""

    provider: str = "*"
    as_of: date | None = None
    source: str | None = None
    models: tuple[Price, ...]


class PriceTable(Settings):
    """The whole file."""

    version: Literal[1]
    prices: tuple[ProviderPrices, ...]


class Prices:
    """Tables in order; in each, a full name goes before a pattern, and a longer pattern before a shorter one."""

    def __init__(self, tables: Sequence[PriceTable]) -> None:
        self._tables = [sorted(_rows(table), key=lambda row: ("*" in row[1], -len(row[1]))) for table in tables]
        self._find = lru_cache(maxsize=4096)(self._search)

    def complete(self, trace: Trace) -> None:
        """Give a cost to each call of the trace that has none and whose model is known."""
        for call in trace.llm_calls:
            if call.cost_usd is None and (cost := self._of_call(call)) is not None:
                call.cost_usd, call.cost_source = cost, "computed"
        for embedding in trace.embeddings:
            if embedding.cost_usd is None and embedding.input_tokens is not None:
                price = self.find(embedding.provider, embedding.model)
                if price is not None:
                    embedding.cost_usd, embedding.cost_source = (
                        embedding.input_tokens * price.input / _MILLION,
                        "computed",
                    )

    def find(self, provider: str | None, *models: str | None) -> Price | None:
        """The price of the first of these names of a model that is known."""
        for model in models:
            if model and len(model) <= _LONGEST_NAME and len(provider or "") <= _LONGEST_NAME:
                price = self._find(provider, model)
                if price is not None:
                    return price
        return None

    def _of_call(self, call: LLMCall) -> float | None:
        if call.input_tokens is None or call.output_tokens is None:
            return None
        price = self.find(call.provider, call.response_model, call.request_model)
        return None if price is None or price.output is None else cost_usd(call, price, price.output)

    def _search(self, provider: str | None, model: str) -> Price | None:
        vendor, name = (provider or "").lower(), model.lower()
        names = [name]
        if vendor and name.startswith(vendor + "/"):  # LiteLLM's way to say who serves it
            names.append(name.removeprefix(vendor + "/"))
        for rows in self._tables:
            for of, pattern, price in rows:
                if (not vendor or fnmatchcase(vendor, of)) and any(fnmatchcase(one, pattern) for one in names):
                    return price
        return None


def _rows(table: PriceTable) -> Iterator[tuple[str, str, Price]]:
    for provider in table.prices:
        for price in provider.models:
            for pattern in price.model:
                yield provider.provider.lower(), pattern.lower(), price


def cost_usd(call: LLMCall, price: Price, output_price: float) -> float:
    """Tokens times prices. What was read from or written to the cache is part of the input.

    >>> call = LLMCall("s", input_tokens=1000, output_tokens=100, cached_input_tokens=600)
    >>> round(cost_usd(call, Price(model=("m",), input=2.0, cached_input=0.5, output=8.0), 8.0), 6)
    0.0019
    """
    entire, cached, written = call.input_tokens or 0, call.cached_input_tokens or 0, call.cache_write_input_tokens or 0
    if cached + written > entire:
        entire += cached + written  # told without them, against all conventions
    reasoned = min(call.reasoning_tokens or 0, call.output_tokens or 0) if price.reasoning is not None else 0
    dollars = (entire - cached - written) * price.input
    dollars += cached * (price.input if price.cached_input is None else price.cached_input)
    dollars += written * (price.input if price.cache_write is None else price.cache_write)
    dollars += ((call.output_tokens or 0) - reasoned) * output_price + reasoned * (price.reasoning or 0.0)
    return dollars / _MILLION


def load_prices(config: PricesConfig, base: Path | None = None) -> Prices:
    """The tables of a configuration; a relative path starts from `base`.

    Raises:
        UserError: the file cannot be read, or is no table; with a line for every wrong value.
    """
    tables = []
    if config.file is not None:
        path = (base or Path()) / config.file
        try:
            tables.append(_table(path.read_text(encoding="utf-8"), f"prices.file: {path}"))
        except OSError as error:
            raise UserError(f"prices.file: {path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise UserError(f"prices.file: {path} is not UTF-8 text") from None
    if config.built_in:
        tables.append(built_in())
    return Prices(tables)


@lru_cache(maxsize=1)
def built_in() -> PriceTable:
    """The table that Driftline comes with."""
    return _table(files("collector").joinpath("prices.yaml").read_text(encoding="utf-8"), "prices.yaml")


def _table(content: str, name: str) -> PriceTable:
    """Raises UserError."""
    try:
        return PriceTable.model_validate(yaml.safe_load(content))
    except yaml.YAMLError as error:
        raise UserError(f"{name} is not YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        lines = [f"{name}: {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise UserError(*lines) from None
