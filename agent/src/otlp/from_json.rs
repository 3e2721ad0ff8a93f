//! Converts OTLP's JSON to protobuf (OTLP specification, "JSON Protobuf Encoding"; Protocol
//! Buffers, "`ProtoJSON`").
//!
//! Integers are numbers or strings, enumerations are numbers, identifiers are hexadecimal, and
//! bytes are base64. `"NaN"` and `"Infinity"` are numbers, `null` is a missing field, and unknown
//! keys are ignored. A value that does not fit its field is an error with its position.
//!
//! The serde implementation of opentelemetry-proto is not used, because it turns a metric with an
//! invalid value into a metric without data: the data would be lost without an error.

use std::fmt;

use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, Engine as _, GeneralPurpose, GeneralPurposeConfig};
use prost::encoding::{WireType, encode_key, encode_varint};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::schema::{self, Field, Kind, Message, Presence};
use super::wire::put;
use crate::otlp::Signal;

/// The error text for a request that does not name its signal.
pub(crate) const NO_SIGNAL: &str = "none of the keys resourceMetrics, resourceSpans and resourceLogs is present";

/// Converts a request to protobuf. The signal is named by the only key of the request; it is none
/// if the request is empty.
///
/// # Errors
/// When the bytes are not JSON, or not a request.
pub(crate) fn to_protobuf(json: &[u8]) -> Result<(Option<Signal>, Vec<u8>), serde_json::Error> {
    // JSON consists mostly of keys, which are numbers in protobuf.
    let mut out = Vec::with_capacity(json.len() / 2);
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let signal = Request(&mut out).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok((signal, out))
}

/// Reads a request of any signal.
struct Request<'a>(&'a mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for Request<'_> {
    type Value = Option<Signal>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Request<'_> {
    type Value = Option<Signal>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with resourceMetrics, resourceSpans or resourceLogs")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut signal, mut has_unknown_keys) = (None, false);
        while let Some(key) = map.next_key_seed(Key)? {
            let found = Signal::ALL.into_iter().find_map(|of| Some((of, field(schema::request(of), &key)?)));
            let Some((of, field)) = found else {
                has_unknown_keys = true;
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if signal.is_some_and(|signal| signal != of) {
                return Err(A::Error::custom("a request must have one signal"));
            }
            signal = Some(of);
            map.next_value_seed(FieldValue { field, out: self.0 })?;
        }
        if signal.is_none() && has_unknown_keys {
            return Err(A::Error::custom(NO_SIGNAL));
        }
        Ok(signal)
    }
}

fn field(message: &'static Message, key: &str) -> Option<&'static Field> {
    message.fields.iter().find(|field| field.key == key)
}

/// Reads a key, without a copy if it has no escape sequences.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = std::borrow::Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = std::borrow::Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(key.into())
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(key.to_owned().into())
    }
}

/// Reads the fields of a message.
struct Fields<'a> {
    message: &'static Message,
    out: &'a mut Vec<u8>,
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(Key)? {
            match field(self.message, &key) {
                Some(field) => map.next_value_seed(FieldValue { field, out: self.out })?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// Reads the value of a key: one value, a list of values, or `null`.
struct FieldValue<'a> {
    field: &'static Field,
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for FieldValue<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for FieldValue<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list for {}", self.field.key)
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.field.presence == Presence::Repeated {
            deserializer.deserialize_seq(self)
        } else {
            Value { field: self.field, packed: false, out: self.out }.deserialize(deserializer)
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { field, out } = self;
        if wire_type(field.kind) == WireType::LengthDelimited {
            while list.next_element_seed(Value { field, packed: false, out })?.is_some() {}
            return Ok(());
        }
        let mut packed = Vec::new();
        while list.next_element_seed(Value { field, packed: true, out: &mut packed })?.is_some() {}
        if !packed.is_empty() {
            put(field.number, &packed, out);
        }
        Ok(())
    }
}

/// Reads one value of a field.
struct Value<'a> {
    field: &'static Field,
    /// Whether the value is an element of a packed list, which has no tag.
    packed: bool,
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Kind::Message(message) = self.field.kind else { return deserializer.deserialize_any(self) };
        encode_key(self.field.number, WireType::LengthDelimited, self.out);
        let start = self.out.len();
        deserializer.deserialize_map(Fields { message, out: self.out })?;
        let mut length = Vec::with_capacity(5);
        encode_varint((self.out.len() - start) as u64, &mut length);
        self.out.splice(start..start, length);
        Ok(())
    }
}

impl Value<'_> {
    fn tag(&mut self) {
        if !self.packed {
            encode_key(self.field.number, wire_type(self.field.kind), self.out);
        }
    }

    fn is_omitted(&self, is_default: bool) -> bool {
        is_default && self.field.presence == Presence::Implicit
    }

    fn bytes(self, bytes: &[u8]) {
        if !self.is_omitted(bytes.is_empty()) {
            put(self.field.number, bytes, self.out);
        }
    }

    fn double(mut self, value: f64) {
        // Compared as bits, because -0 is not the default value.
        if !self.is_omitted(value.to_bits() == 0) {
            self.tag();
            self.out.extend_from_slice(&value.to_le_bytes());
        }
    }

    fn integer<E: Error>(mut self, value: i128) -> Result<(), E> {
        let key = self.field.key;
        let range = || E::custom(format!("{value} is out of range for {key}"));
        if self.is_omitted(value == 0) {
            return Ok(());
        }
        self.tag();
        let varint = match self.field.kind {
            Kind::Int32 => i64::from(i32::try_from(value).map_err(|_| range())?).cast_unsigned(),
            Kind::Int64 => i64::try_from(value).map_err(|_| range())?.cast_unsigned(),
            Kind::Uint32 => u64::from(u32::try_from(value).map_err(|_| range())?),
            Kind::Uint64 => u64::try_from(value).map_err(|_| range())?,
            Kind::Sint32 => {
                let value = i32::try_from(value).map_err(|_| range())?;
                // ZigZag encoding: the sign is the lowest bit (Protocol Buffers, "Encoding").
                u64::from(((value << 1) ^ (value >> 31)).cast_unsigned())
            }
            Kind::Fixed32 => {
                self.out.extend(u32::try_from(value).map_err(|_| range())?.to_le_bytes());
                return Ok(());
            }
            Kind::Fixed64 => {
                self.out.extend(u64::try_from(value).map_err(|_| range())?.to_le_bytes());
                return Ok(());
            }
            Kind::Sfixed64 => {
                self.out.extend(i64::try_from(value).map_err(|_| range())?.to_le_bytes());
                return Ok(());
            }
            Kind::Text | Kind::Base64 | Kind::Hex | Kind::Bool | Kind::Double | Kind::Message(_) => {
                return Err(E::custom(format!("{key} is not a number")));
            }
        };
        encode_varint(varint, self.out);
        Ok(())
    }
}

impl Visitor<'_> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.field.kind {
            Kind::Text => "a string",
            Kind::Base64 => "bytes in base64",
            Kind::Hex => "an identifier in hexadecimal",
            Kind::Bool => "true or false",
            Kind::Double => "a number",
            Kind::Message(_) => "an object",
            _ => "an integer",
        };
        write!(f, "{what} for {}", self.field.key)
    }

    fn visit_bool<E: Error>(mut self, value: bool) -> Result<(), E> {
        if !matches!(self.field.kind, Kind::Bool) {
            return Err(E::invalid_type(serde::de::Unexpected::Bool(value), &self));
        }
        if !self.is_omitted(!value) {
            self.tag();
            self.out.push(u8::from(value));
        }
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        if matches!(self.field.kind, Kind::Double) {
            self.double(value as f64);
            return Ok(());
        }
        self.integer(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        if matches!(self.field.kind, Kind::Double) {
            self.double(value as f64);
            return Ok(());
        }
        self.integer(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        /// The largest number below which every integer has its own representation (2^53).
        const MAX_EXACT_INTEGER: f64 = 9_007_199_254_740_992.0;
        match self.field.kind {
            Kind::Double => {
                self.double(value);
                Ok(())
            }
            #[allow(clippy::cast_possible_truncation)]
            _ if value.fract() == 0.0 && value.abs() <= MAX_EXACT_INTEGER => self.integer(value as i128),
            _ => Err(E::invalid_type(serde::de::Unexpected::Float(value), &self)),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let wrong = || E::custom(format!("invalid value for {}", self.field.key));
        match self.field.kind {
            Kind::Text => self.bytes(text.as_bytes()),
            Kind::Hex => {
                let bytes = const_hex::decode(text).map_err(|_| wrong())?;
                self.bytes(&bytes);
            }
            Kind::Base64 => {
                let text = text.replace('-', "+").replace('_', "/");
                let bytes = BASE64.decode(text).map_err(|_| wrong())?;
                self.bytes(&bytes);
            }
            Kind::Double => {
                let value = match text {
                    "NaN" => f64::NAN,
                    "Infinity" => f64::INFINITY,
                    "-Infinity" => f64::NEG_INFINITY,
                    text => text.parse().ok().filter(|value: &f64| value.is_finite()).ok_or_else(wrong)?,
                };
                self.double(value);
            }
            Kind::Bool | Kind::Message(_) => return Err(wrong()),
            _ => {
                let value = text.parse().map_err(|_| wrong())?;
                return self.integer(value);
            }
        }
        Ok(())
    }
}

/// Base64 with or without padding. `ProtoJSON` accepts both, and both alphabets.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const fn wire_type(kind: Kind) -> WireType {
    match kind {
        Kind::Text | Kind::Base64 | Kind::Hex | Kind::Message(_) => WireType::LengthDelimited,
        Kind::Bool | Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 | Kind::Sint32 => WireType::Varint,
        Kind::Fixed32 => WireType::ThirtyTwoBit,
        Kind::Fixed64 | Kind::Sfixed64 | Kind::Double => WireType::SixtyFourBit,
    }
}

#[cfg(test)]
mod tests;
