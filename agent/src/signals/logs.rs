//! Names and attributes of log records.

use super::Attribute;

pub use opentelemetry_semantic_conventions::SCHEMA_URL;
pub use opentelemetry_semantic_conventions::attribute::{
    EXCEPTION_MESSAGE, EXCEPTION_STACKTRACE, EXCEPTION_TYPE, LOG_FILE_NAME, LOG_RECORD_UID, THREAD_ID, THREAD_NAME,
};

/// Instrumentation scope of log records read from files. Its version is the version of the agent.
pub const SCOPE_NAME: &str = "insights-agent.logs";
/// `ioconnect.log.category`
pub const LOG_CATEGORY: &str = "ioconnect.log.category";
/// `ioconnect.log.continuation`
pub const LOG_CONTINUATION: &str = "ioconnect.log.continuation";
/// `ioconnect.log.cut`
pub const LOG_CUT: &str = "ioconnect.log.cut";
/// `ioconnect.log.unfinished`
pub const LOG_UNFINISHED: &str = "ioconnect.log.unfinished";
/// `ioconnect.app.name`
pub const APP_NAME: &str = super::metrics::APP_NAME.name;
/// `ioconnect.instance.id`
pub const INSTANCE_ID: &str = "ioconnect.instance.id";
/// `ioconnect.env_region`
pub const ENV_REGION: &str = "ioconnect.env_region";

/// All attributes that a log record can have. Values are strings unless the description says
/// otherwise.
pub const LOG_ATTRIBUTES: &[Attribute] = &[
    Attribute {
        name: LOG_RECORD_UID,
        description: "Id of the file, a dash, and the position of the record in it in hexadecimal. \
                      A record that is delivered twice has the same value both times.",
    },
    Attribute {
        name: LOG_FILE_NAME,
        description: "Name of the file without folders, because a full path can contain the name \
                      of the user.",
    },
    Attribute {
        name: ENV_REGION,
        description: "Folder of the io.Connect environment and region that the file belongs to, \
                      for example `DEMO-INTEROP.IO`.",
    },
    Attribute { name: APP_NAME, description: "Name of the io.Connect app that the file belongs to." },
    Attribute { name: LOG_CATEGORY, description: "Category (logger, component) given in the line." },
    Attribute { name: INSTANCE_ID, description: "Id of the app instance given in the line, for example `9816_10`." },
    Attribute { name: THREAD_ID, description: "Thread given in the line, if it is a number. An integer." },
    Attribute { name: THREAD_NAME, description: "Thread given in the line, if it is not a number." },
    Attribute {
        name: LOG_CONTINUATION,
        description: "The record holds lines without a header that came too late for the record \
                      that they continue, or the rest of a record that was too long. A boolean, \
                      set only if true.",
    },
    Attribute {
        name: LOG_CUT,
        description: "The record was too long and was cut; the next record of the file continues \
                      it. A boolean, set only if true.",
    },
    Attribute {
        name: LOG_UNFINISHED,
        description: "The last line of the file had no line end for so long that it was sent as it \
                      was. If the line continues, the next record has the rest. A boolean, set \
                      only if true.",
    },
    Attribute {
        name: EXCEPTION_TYPE,
        description: "Type of the exception, if the record ends with a stack trace of V8, .NET or \
                      Java.",
    },
    Attribute { name: EXCEPTION_MESSAGE, description: "Message of the exception." },
    Attribute {
        name: EXCEPTION_STACKTRACE,
        description: "Text of the exception from its type on, including the stack trace.",
    },
];
