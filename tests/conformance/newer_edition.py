"""The protos as a later edition of Waggle may have them.

Whatever a later edition adds, it adds in the ways that are shown here: values
to enums, fields to messages, members to Event.data. The same full names, so
that on the wire they are what today's stubs get to read.
"""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from harness import api, ev

_Field = descriptor_pb2.FieldDescriptorProto

# Numbers of what is added.
EVENT_TYPE = 1000
CATEGORY = 77
CONNECTOR_STATUS = 2147483647
_FIELD = 1000


def _message(file, name):
    return next(m for m in file.message_type if m.name == name)


def _add_fields(message):
    """One of each wire type that is in use."""
    for offset, kind in enumerate((_Field.TYPE_STRING, _Field.TYPE_SINT64,
                                   _Field.TYPE_DOUBLE, _Field.TYPE_FIXED32)):
        message.field.add(name=f"added_{offset}", number=_FIELD + offset,
                          type=kind, label=_Field.LABEL_OPTIONAL)


def _make_messages():
    events = descriptor_pb2.FileDescriptorProto()
    ev.DESCRIPTOR.CopyToProto(events)
    service = descriptor_pb2.FileDescriptorProto()
    api.DESCRIPTOR.CopyToProto(service)
    for name, value, number in (
            ("EventType", "EVENT_TYPE_ADDED", EVENT_TYPE),
            ("Category", "CATEGORY_ADDED", CATEGORY),
            ("ConnectorStatus", "CONNECTOR_STATUS_ADDED", CONNECTOR_STATUS)):
        enum = next(e for e in events.enum_type if e.name == name)
        enum.value.add(name=value, number=number)
    for name in "Event", "Connector", "Sync":
        _add_fields(_message(events, name))
    _add_fields(_message(service, "SubscribeResponse"))
    added = events.message_type.add(name="AddedData")
    _add_fields(added)
    event = _message(events, "Event")
    event.field.add(name="added_data", number=_FIELD + 50, oneof_index=0,
                    type=_Field.TYPE_MESSAGE, label=_Field.LABEL_OPTIONAL,
                    type_name=".waggle.v1.AddedData")
    # The members of a oneof stand together.
    fields = sorted(event.field, key=lambda f: f.HasField("oneof_index"))
    del event.field[:]
    event.field.extend(fields)

    pool = descriptor_pool.DescriptorPool()
    _add_dependencies(pool, api.DESCRIPTOR)
    pool.Add(events)
    pool.Add(service)
    factory = message_factory.MessageFactory(pool)
    return [
        factory.GetPrototype(pool.FindMessageTypeByName(f"waggle.v1.{name}"))
        for name in ("Event", "SubscribeResponse")]


def _add_dependencies(pool, file):
    for dependency in file.dependencies:
        _add_dependencies(pool, dependency)
        if not dependency.name.startswith("waggle/"):
            pool.AddSerializedFile(dependency.serialized_pb)


Event, SubscribeResponse = _make_messages()


def fill_added(message):
    """Sets what _add_fields added."""
    message.added_0 = "of a later edition"
    message.added_1 = -7
    message.added_2 = 0.5
    message.added_3 = 3
    return message
