#include "formats/wire/frontend_messages.h"

#include "formats/wire/message_types.h"

namespace understudy::wire {

namespace {

template <typename Message>
Decoded<Message> decode_empty(ByteView payload) {
  return finish(ByteReader(payload), Message{});
}

// Describe and Close have the same shape.
template <typename Message>
Decoded<Message> decode_target(ByteView payload) {
  ByteReader in(payload);
  Message message;
  message.target = static_cast<Target>(in.u8());
  message.name = in.c_string();
  if (!in.failed() && message.target != Target::kStatement && message.target != Target::kPortal)
    return DecodeError{0, "neither a statement (S) nor a portal (P)"};
  return finish(in, message);
}

template <typename Message>
Decoded<FrontendMessage> as_variant(ByteView payload) {
  const Decoded<Message> decoded = Message::decode(payload);
  if (!decoded) return decoded.error();
  return FrontendMessage(*decoded);
}

}  // namespace

Decoded<Query> Query::decode(ByteView payload) {
  ByteReader in(payload);
  return finish(in, Query{in.c_string()});
}

Decoded<Parse> Parse::decode(ByteView payload) {
  ByteReader in(payload);
  Parse parse;
  parse.statement = in.c_string();
  parse.sql = in.c_string();
  parse.parameter_types = read_oids(in);
  return finish(in, parse);
}

Decoded<Bind> Bind::decode(ByteView payload) {
  ByteReader in(payload);
  Bind bind;
  bind.portal = in.c_string();
  bind.statement = in.c_string();
  bind.parameter_formats = read_format_codes(in);
  const std::size_t count = in.be16();
  bind.parameters = read_list<Value>(in, payload, count);
  bind.result_formats = read_format_codes(in);
  return finish(in, bind);
}

Decoded<Describe> Describe::decode(ByteView payload) { return decode_target<Describe>(payload); }

Decoded<Close> Close::decode(ByteView payload) { return decode_target<Close>(payload); }

Decoded<Execute> Execute::decode(ByteView payload) {
  ByteReader in(payload);
  Execute execute;
  execute.portal = in.c_string();
  execute.max_rows = in.be32();
  return finish(in, execute);
}

Decoded<FunctionCall> FunctionCall::decode(ByteView payload) {
  ByteReader in(payload);
  FunctionCall call;
  call.function_oid = in.be32();
  call.argument_formats = read_format_codes(in);
  const std::size_t count = in.be16();
  call.arguments = read_list<Value>(in, payload, count);
  call.result_format = static_cast<std::int16_t>(in.be16());
  return finish(in, call);
}

Decoded<CopyFail> CopyFail::decode(ByteView payload) {
  ByteReader in(payload);
  return finish(in, CopyFail{in.c_string()});
}

Decoded<Flush> Flush::decode(ByteView payload) { return decode_empty<Flush>(payload); }

Decoded<Sync> Sync::decode(ByteView payload) { return decode_empty<Sync>(payload); }

Decoded<Terminate> Terminate::decode(ByteView payload) { return decode_empty<Terminate>(payload); }

Decoded<CopyData> CopyData::decode(ByteView payload) { return CopyData{payload}; }

Decoded<CopyDone> CopyDone::decode(ByteView payload) { return decode_empty<CopyDone>(payload); }

Decoded<PasswordMessage> PasswordMessage::decode(ByteView payload) {
  ByteReader in(payload);
  return finish(in, PasswordMessage{in.c_string()});
}

Decoded<SaslInitialResponse> SaslInitialResponse::decode(ByteView payload) {
  ByteReader in(payload);
  SaslInitialResponse initial;
  initial.mechanism = in.c_string();
  read_item(in, initial.response);
  return finish(in, initial);
}

Decoded<SaslResponse> SaslResponse::decode(ByteView payload) { return SaslResponse{payload}; }

Decoded<FrontendMessage> decode_frontend(char type, ByteView payload) {
  switch (type) {
    case frontend::kQuery:
      return as_variant<Query>(payload);
    case frontend::kParse:
      return as_variant<Parse>(payload);
    case frontend::kBind:
      return as_variant<Bind>(payload);
    case frontend::kDescribe:
      return as_variant<Describe>(payload);
    case frontend::kClose:
      return as_variant<Close>(payload);
    case frontend::kExecute:
      return as_variant<Execute>(payload);
    case frontend::kFunctionCall:
      return as_variant<FunctionCall>(payload);
    case frontend::kCopyFail:
      return as_variant<CopyFail>(payload);
    case frontend::kFlush:
      return as_variant<Flush>(payload);
    case frontend::kSync:
      return as_variant<Sync>(payload);
    case frontend::kTerminate:
      return as_variant<Terminate>(payload);
    case frontend::kCopyData:
      return as_variant<CopyData>(payload);
    case frontend::kCopyDone:
      return as_variant<CopyDone>(payload);
    case frontend::kPassword:
      return FrontendMessage(AuthenticationResponse{payload});
    default:
      return DecodeError{0, "no such message from a client"};
  }
}

}  // namespace understudy::wire
