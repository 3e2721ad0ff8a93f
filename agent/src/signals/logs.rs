//! Names and attributes of log records.

use super::Attribute;

pub use opentelemetry_semantic_conventions::SCHEMA_URL;
pub use opentelemetry_semantic_conventions::attribute::{
    EXCEPTION_MESSAGE, EXCEPTION_STACKTRACE, EXCEPTION_TYPE, LOG_FILE_NAME, LOG_RECORD_UID, THREAD_ID, THREAD_NAME,
};

/// Instrumentation scope of log records that were read from files. Its version is the agent's.
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

/// Every attribute that a log record can have. Strings, where nothing else is said.
pub const LOG_ATTRIBUTES: &[Attribute] = &[
    Attribute {
        name: LOG_RECORD_UID,
        meaning: "Identity of the file and, after a dash, the record's position in it in hexadecimal. A record that is \
                  delivered twice has the same one both times.",
    },
    Attribute {
        name: LOG_FILE_NAME,
        meaning: "Name of the file, without folders: a full path can hold the user's name.",
    },
    Attribute {
        name: ENV_REGION,
        meaning: "Folder of the io.Connect environment and region that the file belongs to, for example \
                  `DEMO-INTEROP.IO`.",
    },
    Attribute { name: APP_NAME, meaning: "Name of the io.Connect app whose log file it is." },
    Attribute { name: LOG_CATEGORY, meaning: "Category (logger, component) that the line names." },
    Attribute { name: INSTANCE_ID, meaning: "Id of the app instance that the line names, for example `9816_10`." },
    Attribute { name: THREAD_ID, meaning: "Thread that the line names, if it is a number. An integer." },
    Attribute { name: THREAD_NAME, meaning: "Thread that the line names, if it is not a number." },
    Attribute {
        name: LOG_CONTINUATION,
        meaning: "Boolean, only there when true: lines without a header that came too late for the record that they \
                  continue, or the rest of one that was too long.",
    },
    Attribute {
        name: LOG_CUT,
        meaning: "Boolean, only there when true: the record was too long for one; the next record of the file goes on.",
    },
    Attribute {
        name: LOG_UNFINISHED,
        meaning: "Boolean, only there when true: the last line of the file had no end for so long that it was sent as it \
                  was; if it goes on, the next record has the rest.",
    },
    Attribute {
        name: EXCEPTION_TYPE,
        meaning: "Type of the exception, where the record ends in a stack trace of V8, .NET or Java.",
    },
    Attribute { name: EXCEPTION_MESSAGE, meaning: "What that exception says." },
    Attribute { name: EXCEPTION_STACKTRACE, meaning: "That exception from its type on, with its stack." },
];
