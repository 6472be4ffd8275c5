"""The one closed table: what a name in a configuration stands for, as "room.module:Class", resolved when used.

Nothing outside this table can be named by a configuration or an artefact.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from importlib import import_module
from inspect import Parameter, signature
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PydanticSchemaGenerationError,
    PydanticUserError,
    TypeAdapter,
    ValidationError,
)

from greekdrift.config.document import Document, Place
from greekdrift.errors import ConfigError, nearest

SOURCES: Mapping[str, str] = {
    "parquet": "market.parquet:ParquetSource",
    "qmoms": "market.packaged:QmomsSource",
    "simulated": "market.simulate:SimulatedSource",
    "spx_factors": "market.spx_factors:SpxFactorsSource",
}
"""Where chains come from."""

FORECASTERS: Mapping[str, str] = {
    "clock": "forecast.clock:Clock",
    "historical": "forecast.historical:Historical",
    "direct": "forecast.direct:Direct",
    "fhs": "forecast.econometric:FilteredHistorical",
    "garch": "forecast.garch:Garch",
    "pool": "forecast.ensemble:Pool",
    "gaussian": "forecast.gaussian:Gaussian",
    "student": "forecast.student:Student",
    "boosted": "forecast.boosted:Boosted",
    "drift_net": "forecast.deep.training:DriftNet",
    "calibrated": "forecast.calibrated:Calibrated",
    "centred": "forecast.centred:Centred",
    "outside": "forecast.outside:Outside",
}
"""What makes joint scenarios of the market state: docs/forecasters.md. `outside` alone runs code that is not of this
table, that of the user who evaluates it; nothing that it makes can be an artefact."""

FEATURE_KINDS: Mapping[str, str] = {
    "return": "features.realised:Return",
    "realised_variance": "features.realised:RealisedVariance",
    "bipower": "features.realised:Bipower",
    "semivariance": "features.realised:Semivariance",
    "signed_variation": "features.realised:SignedVariation",
    "jump_share": "features.realised:JumpShare",
    "leverage": "features.realised:Leverage",
    "bar_variance": "features.ranges:BarVariance",
    "parkinson": "features.ranges:Parkinson",
    "garman_klass": "features.ranges:GarmanKlass",
    "rogers_satchell": "features.ranges:RogersSatchell",
    "yang_zhang": "features.ranges:YangZhang",
    "bar_bipower": "features.ranges:BarBipower",
    "bar_semivariance": "features.ranges:BarSemivariance",
    "bar_jump_share": "features.ranges:BarJumpShare",
    "bar_signed_variation": "features.ranges:BarSignedVariation",
    "bar_quarticity": "features.ranges:BarQuarticity",
    "factor": "features.smile:Factor",
    "term_slope": "features.smile:TermSlope",
    "term_curvature": "features.smile:TermCurvature",
    "forward_variance": "features.smile:ForwardVariance",
    "spread": "features.smile:Spread",
    "change": "features.smile:Change",
    "variance_premium": "features.smile:VariancePremium",
    "cross_level": "features.smile:CrossLevel",
    "bar_variance_premium": "features.premia:BarVariancePremium",
    "vol_of_vol": "features.premia:VolOfVol",
    "spot_vol_slope": "features.premia:SpotVolSlope",
    "skew_premium": "features.premia:SkewPremium",
    "curvature_premium": "features.premia:CurvaturePremium",
    "others_return": "features.cross:OthersReturn",
    "correlation": "features.cross:Correlation",
    "funding": "features.funding:Funding",
    "funding_shift": "features.funding:FundingShift",
    "premium": "features.funding:Premium",
    "depth_imbalance": "features.depth:DepthImbalance",
    "depth": "features.depth:Depth",
    "quoted_spread": "features.depth:QuotedSpread",
    "outside_level": "features.outside:OutsideLevel",
    "outside_change": "features.outside:OutsideChange",
    "outside_spread": "features.outside:OutsideSpread",
    "record_age": "features.outside:RecordAge",
    "hour_of_day": "features.calendar:HourOfDay",
    "weekend_share": "features.calendar:WeekendShare",
    "expiry_near": "features.calendar:ExpiryNear",
    "cycle_near": "features.calendar:CycleNear",
    "step_hours": "features.calendar:StepHours",
    "events_ahead": "features.events:EventsAhead",
    "event_near": "features.events:EventNear",
    "event_past": "features.events:EventPast",
}
"""What a panel may carry beside the features that all carry: docs/features.md."""


EVALUATION = "evaluate.settings:Settings"
"""What the `evaluation` of an experiment stands for."""
MARGIN = "evaluate.margin_results:MarginSettings"
"""What its `margin` stands for."""


class Options(BaseModel):
    """Values of a constructor that is named elsewhere."""

    model_config = ConfigDict(extra="allow", frozen=True)

    @property
    def options(self) -> dict[str, Any]:
        """Constructor values."""
        return dict(self.model_extra or {})


class Component(Options):
    """A name of the table and the values of its constructor; `use: historical` is the shortest."""

    use: Annotated[str, Field(min_length=1)]


def resolve(table: Mapping[str, str], name: str) -> Any:
    """The class that a name stands for; a wrong name is answered with the nearest right one.

    >>> resolve(FORECASTERS, "historicl")
    Traceback (most recent call last):
    ...
    greekdrift.errors.ConfigError: "historicl" is not known; did you mean "historical"?
    """
    if name not in table:
        raise ConfigError(f'"{name}" is not known; {nearest(name, table)}')
    return _imported(table[name])


def problems(
    component: Component, table: Mapping[str, str], *, document: Document, place: Place, given: Sequence[str] = ()
) -> list[str]:
    """What is wrong with a component: unknown name, unknown, missing or mistyped options, each with its place.

    `given` parameters are filled in by the program and are no options.
    """
    if component.use not in table:
        return [f'{document.where((*place, "use"))}: "{component.use}" is not known; {nearest(component.use, table)}']
    return unfit(component, table[component.use], document=document, place=place, given=given)


def unfit(
    values: Options,
    target: str,
    *,
    document: Document,
    place: Place,
    given: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> list[str]:
    """What is wrong with the values of a constructor; `optional` ones may be left out though it needs them."""
    parameters = _parameters(_imported(target))
    open_names = [name for name in parameters if name not in given]
    found = []
    for name, value in values.options.items():
        where = document.where((*place, name))
        if name not in open_names:
            found.append(f"{where}: is no option here; {nearest(name, open_names) if open_names else 'there are none'}")
        else:
            typed, problem = _typed(parameters[name][0], value)
            if problem:
                found.append(f"{where}: {problem}")
            elif isinstance(typed, Component):  # the only components within components are forecasters
                found += problems(typed, FORECASTERS, document=document, place=(*place, name), given=given)
    missing = [
        name for name in open_names if parameters[name][1] and name not in values.options and name not in optional
    ]
    return found + [f"{document.where((*place, name))}: is missing" for name in missing]


def build(component: Component, table: Mapping[str, str], **given: Any) -> Any:
    """The object that a component describes; `given` are values that the caller knows (a seed, a venue).

    A given value that the constructor does not take is left out.
    """
    lines = problems(component, table, document=Document(name=component.use, values={}), place=(), given=tuple(given))
    if lines:
        raise ConfigError("\n".join(lines))
    return made(component, table[component.use], **given)


def made(values: Options, target: str, **given: Any) -> Any:
    """The object of a constructor with values as its parameters' types; options go before `given`."""
    kind = _imported(target)
    parameters = _parameters(kind)
    options = {name: _typed(parameters[name][0], value)[0] for name, value in values.options.items()}
    return kind(**{**{name: value for name, value in given.items() if name in parameters}, **options})


def _imported(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(import_module(f"greekdrift.{module}"), attribute)


def _parameters(kind: Any) -> dict[str, tuple[Any, bool]]:
    """Annotation of each constructor parameter and whether it must be given."""
    hints = get_type_hints(kind.__init__)
    return {
        name: (hints.get(name, Any), parameter.default is Parameter.empty)
        for name, parameter in signature(kind).parameters.items()
        if parameter.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    }


def _typed(annotation: Any, value: Any) -> tuple[Any, str | None]:
    """The value as its parameter's type, and what is wrong with it."""
    unknown = _unknown(annotation, value)
    if unknown:
        return value, unknown
    try:
        adapter = TypeAdapter(annotation)
    except (PydanticSchemaGenerationError, PydanticUserError):
        return value, None
    try:
        return adapter.validate_json(json.dumps(value), strict=True), None
    except ValidationError as found:
        said = found.errors(include_url=False)[0]["msg"].replace("Input should be", "should be")
        return value, f"{said}, got {value!r}"


def _unknown(annotation: Any, value: Any) -> str | None:
    """The first key within a value that its record has no field for: pydantic would pass over it."""
    if not isinstance(value, Mapping):
        return None
    if not (isinstance(annotation, type) and is_dataclass(annotation)):
        kind, inner = get_origin(annotation), get_args(annotation)
        if isinstance(kind, type) and issubclass(kind, Mapping):
            return _first(f"{name} {found}" for name, one in value.items() if (found := _unknown(inner[-1], one)))
        return _first(found for one in inner if (found := _unknown(one, value)))
    hints = {name: hint for name, (hint, _) in _parameters(annotation).items()}
    for name, one in value.items():
        if name not in hints:
            return f'has no "{name}"; {nearest(name, hints)}'
        found = _unknown(hints[name], one)
        if found:
            return f"{name} {found}"
    return None


def _first(texts: Iterable[str]) -> str | None:
    return next(iter(texts), None)
