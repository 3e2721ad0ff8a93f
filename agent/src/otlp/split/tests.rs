//! Scenario: requests whose items are spread over scopes in different ways are halved.

use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};

use super::*;

fn request(scopes: &[usize]) -> ExportLogsServiceRequest {
    let mut next = 0;
    let scope_logs = scopes.iter().map(|records| ScopeLogs {
        log_records: (0..*records)
            .map(|_| {
                next += 1;
                LogRecord { time_unix_nano: next, ..LogRecord::default() }
            })
            .collect(),
        ..ScopeLogs::default()
    });
    let scope_logs = scope_logs.collect();
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] }
}

fn times(payload: &[u8]) -> Vec<u64> {
    let request = ExportLogsServiceRequest::decode(payload).unwrap();
    let records = request.resource_logs.into_iter().flat_map(|r| r.scope_logs).flat_map(|s| s.log_records);
    records.map(|record| record.time_unix_nano).collect()
}

/// Guarantees: whatever the scopes, the halves contain every record once and in order, and their
/// sizes differ by at most one.
#[test]
fn halves_contain_every_record_once_in_order() {
    for scopes in [&[2][..], &[1, 1], &[5, 0, 2], &[1, 7], &[3, 3, 3]] {
        let whole = request(scopes).encode_to_vec();
        let [(a, first), (b, second)] = halve(Signal::Logs, Compression::None, &whole).unwrap();
        assert!(b - a <= 1, "{scopes:?}");
        assert_eq!((times(&first).len(), times(&second).len()), (a, b));
        assert_eq!([times(&first), times(&second)].concat(), times(&whole));
    }
}

/// Guarantees: a request that cannot be split is reported as such.
#[test]
fn halve_returns_none_for_one_record_or_damaged_bytes() {
    assert_eq!(halve(Signal::Logs, Compression::None, &request(&[1]).encode_to_vec()), None);
    assert_eq!(halve(Signal::Logs, Compression::Gzip, b"not gzip"), None);
    assert_eq!(halve(Signal::Metrics, Compression::None, b"\xff\xff"), None);
}
