"""The MQTT contract as an AsyncAPI 3.0 document, made from the types that read and write it."""

from typing import Any, Final

import msgspec

from services.ingest.decoders import detections, native, status
from services.ingest.pipeline import MAX_PAYLOAD_BYTES
from tongluo import __version__, sampling

JSON: Final = "application/json"
_DRAFT: Final = "application/schema+json;version=draft-2020-12"


class Channel(msgspec.Struct, frozen=True):
    """One topic. `types` are what its payload may be; empty for formats that other standards define.

    `receive` is True for what gateways send us. `retained` says what the broker keeps for those who come later.
    """

    name: str
    address: str
    words: str
    types: tuple[Any, ...] = ()
    content_type: str = JSON
    receive: bool = True
    qos: int = 1
    retained: bool = False


CHANNELS: Final = (
    Channel(
        "readings",
        "tongluo/v1/{gateway}/readings",
        "One reading or up to 10,000. A reading is (station, metric, time): sent twice, it counts once.",
        (native.Native, list[native.Native]),
    ),
    Channel(
        "senml",
        "tongluo/v1/{gateway}/senml",
        "A SenML pack (RFC 8428) in JSON or CBOR; a name is station/metric.",
        content_type="application/senml+json",
    ),
    Channel(
        "sl651",
        "tongluo/v1/{gateway}/sl651",
        "SL 651-2014 frames in HEX/BCD encoding, binary or as hexadecimal text, one or several.",
        content_type="application/octet-stream",
    ),
    Channel(
        "cgs",
        "tongluo/v1/{gateway}/cgs",
        "The geohazard platform's payload: device, sensor, time, fields.",
    ),
    Channel(
        "detections",
        "tongluo/v1/{gateway}/detections",
        "What a camera saw; a snapshot of at most 256 KiB is optional.",
        (detections.Sent,),
    ),
    Channel(
        "status",
        "tongluo/v1/{gateway}/status",
        "Retained birth and last will.",
        (status.SentStatus,),
        retained=True,
    ),
    Channel(
        "commands",
        "tongluo/v1/{gateway}/commands",
        "To the gateway: sample a station more densely until a time, or go back to its own interval (no `until`).",
        (sampling.Command,),
        receive=False,
    ),
    Channel(
        "answers",
        "tongluo/v1/{gateway}/commands/{id}",
        "The gateway's answer to the command of that id.",
        (sampling.Answer,),
    ),
    Channel(
        "sparkplugNode",
        "spBv1.0/{group}/{type}/{edge}",
        "Sparkplug B of a registered edge node: NBIRTH, NDATA, NDEATH.",
        content_type="application/x-protobuf",
        qos=0,
    ),
    Channel(
        "sparkplugDevice",
        "spBv1.0/{group}/{type}/{edge}/{device}",
        "Sparkplug B of a device behind it: DBIRTH, DDATA, DDEATH.",
        content_type="application/x-protobuf",
        qos=0,
    ),
)

_PARAMETERS: Final = {
    "gateway": "The gateway's registered id, which is also its user name.",
    "id": "The command's id.",
    "group": "The group of a Sparkplug edge node.",
    "type": "The Sparkplug message type.",
    "edge": "The edge node; group/edge is registered as a gateway's address.",
    "device": "A device behind it: a station.",
}


def document() -> dict[str, Any]:
    """The document, ready to be written as JSON."""
    types = [kind for channel in CHANNELS for kind in channel.types]
    payloads, schemas = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    by_type = iter(payloads)
    messages: dict[str, Any] = {}
    for channel in CHANNELS:
        messages[channel.name] = _message(channel, [next(by_type) for _ in channel.types])
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tongluo: the field over MQTT",
            "version": __version__,
            "description": (
                "Gateways publish with QoS 1 over MQTT 3.1.1 or 5. A message is acknowledged to the broker when the "
                f"event log has it; one of more than {MAX_PAYLOAD_BYTES} bytes, or that cannot be read or placed, is "
                "kept in quarantine with its reason. A gateway may publish under its own id only, and speak for its own "
                "stations only."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": JSON,
        "channels": {channel.name: _channel(channel) for channel in CHANNELS},
        "operations": {_operation_name(channel): _operation(channel) for channel in CHANNELS},
        "components": {"messages": messages, "schemas": schemas},
    }


def _message(channel: Channel, payloads: list[Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"contentType": channel.content_type, "summary": channel.words}
    if payloads:
        schema = payloads[0] if len(payloads) == 1 else {"anyOf": payloads}
        message["payload"] = {"schemaFormat": _DRAFT, "schema": schema}
    return message


def _channel(channel: Channel) -> dict[str, Any]:
    names = [part[1:-1] for part in channel.address.split("/") if part.startswith("{")]
    return {
        "address": channel.address,
        "description": channel.words,
        "parameters": {name: {"description": _PARAMETERS[name]} for name in names},
        "messages": {channel.name: {"$ref": f"#/components/messages/{channel.name}"}},
    }


def _operation_name(channel: Channel) -> str:
    verb = "receive" if channel.receive else "send"
    return f"{verb}{channel.name[0].upper()}{channel.name[1:]}"


def _operation(channel: Channel) -> dict[str, Any]:
    return {
        "action": "receive" if channel.receive else "send",
        "channel": {"$ref": f"#/channels/{channel.name}"},
        "messages": [{"$ref": f"#/channels/{channel.name}/messages/{channel.name}"}],
        "bindings": {"mqtt": {"qos": channel.qos, "retain": channel.retained, "bindingVersion": "0.2.0"}},
    }
