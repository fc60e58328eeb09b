"""What every request to a phone has in common: the number, and how it is written."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from notifications import phone


class Addressed(BaseModel):
    """A request with one recipient. JSON is camelCase, unknown fields are refused, errors never repeat the input."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, hide_input_in_errors=True)

    region: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Z]{2}$",
            description="ISO 3166-1 alpha-2; lets `phone` be in this region's national form.",
            examples=["US"],
        ),
    ] = None
    phone: Annotated[
        str,
        Field(
            description="The recipient, in E.164; or in national form with `region`.",
            examples=[phone.EXAMPLE],
            max_length=40,
        ),
    ]

    @field_validator("region")
    @classmethod
    def _known_region(cls, region: str | None) -> str | None:
        if region is not None and region not in phone.REGIONS:
            raise PydanticCustomError("region", "is not a region with phone numbers, for example US")
        return region

    @field_validator("phone")
    @classmethod
    def _e164(cls, number: str, info: ValidationInfo) -> str:
        try:
            return phone.normalise(number, info.data.get("region"))
        except phone.RefusedPhoneType as refused:
            raise PydanticCustomError("phone_type_refused", "{why}", {"why": str(refused)}) from None
        except phone.InvalidPhone as invalid:
            raise PydanticCustomError("phone", "{why}", {"why": str(invalid)}) from None
