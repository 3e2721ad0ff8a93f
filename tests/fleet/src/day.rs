//! Simulates the working day of one user, from logon to logoff, and the data exported for it.
//!
//! Time advances by one export interval per step. A step's events are in the export at its end.

use std::collections::BTreeMap;

use insights_agent::paths::DataDir;
use insights_agent::resource::Resource;
use insights_agent::signals::{events, metrics as m, spans};
use jiff::{Timestamp, ToSpan};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::SeverityNumber;
use opentelemetry_proto::tonic::resource::v1::Resource as ProtoResource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use prost::Message;

use crate::answers::{add, add_call};
use crate::company::{ACTIONS, BACKENDS, Desk, FAILING, SLOW, Trouble};
use crate::meter::{Meter, nanos, text};
use crate::requests::{Line, logs, traces};
use crate::{Answers, Breakdown, Exported, Fleet, platform as p, resource};

/// Default of `host.cpu_threshold`, as in its attribute.
const THRESHOLD: &str = "0.9";
/// Mean errors per hour at a desk; the hour (UTC) when overseas markets open, and the factor for
/// it; the factor for a starved machine.
const ERRORS_PER_HOUR: f64 = 0.5;
const OPENING: (i8, f64) = (14, 8.0);
const STARVED: f64 = 10.0;
/// Time of the app crash, in seconds after logon.
const CRASH_AT: f64 = 8000.0;
/// Memory of the machine, in bytes.
const MEMORY: f64 = 17_179_869_184.0;

/// The data that a desk sends on a day, in order of time.
pub(crate) struct Day {
    pub(crate) resource: Resource,
    pub(crate) exported: Vec<(Timestamp, Exported)>,
    pub(crate) series: u64,
}

/// Simulates a day of a desk.
pub(crate) fn simulate(
    fleet: &Fleet,
    desk: &Desk,
    number: u32,
    mut rng: fastrand::Rng,
    data: &DataDir,
    answers: &mut Answers,
) -> Day {
    let calendar_day = fleet.first.saturating_add(i64::from(number).days());
    let midnight = calendar_day
        .to_zoned_datetime(jiff::tz::TimeZone::UTC)
        .map_or(Timestamp::UNIX_EPOCH, |zoned| zoned.timestamp());
    let draw = |from: u32, to: u32, rng: &mut fastrand::Rng| 60.0 * f64::from(rng.u32(from..to));
    // Most users log on within a few minutes around nine.
    let logon = draw(8 * 60 + 40, 9 * 60 + 5, &mut rng) + draw(0, 15, &mut rng) + 60.0 * rng.f64();
    let length = draw(8 * 60, 9 * 60 + 30, &mut rng);
    let lunch = draw(3 * 60, 4 * 60, &mut rng);
    let lunch = lunch..lunch + draw(30, 60, &mut rng);
    let start = after(midnight, logon);
    let mut uuid = || uuid(&mut rng);
    let (session, instance, platform_instance) = (uuid(), uuid(), uuid());
    let agent = resource(desk, &session, &instance, data);
    let agent_proto = ProtoResource::decode(agent.to_protobuf().as_slice()).expect("its own encoding");
    let platform = p::resource(&agent, desk, &platform_instance);
    let mut day = Simulation {
        desk,
        start,
        now: 0.0,
        session,
        agent: Meter::new(agent_proto, start, m::all()),
        insights: Meter::new(platform.clone(), start, p::METRICS),
        platform,
        resource: agent,
        trace: rng.u128(1..),
        root: rng.u64(1..),
        app: None,
        running: BTreeMap::new(),
        spans: Vec::new(),
        insights_spans: Vec::new(),
        log: Vec::new(),
        offset: 0,
        exported: Vec::new(),
        rng,
        answers,
        is_first: number == 0,
    };
    day.log_on();
    let step = f64::from(fleet.interval);
    while day.now + step < length {
        day.step(step, lunch.contains(&day.now));
    }
    day.log_off(length);
    let series = day.agent.series() + day.insights.series();
    Day { resource: day.resource, exported: day.exported, series }
}

struct Simulation<'a> {
    desk: &'a Desk,
    start: Timestamp,
    /// Seconds since logon.
    now: f64,
    session: String,
    resource: Resource,
    platform: ProtoResource,
    agent: Meter,
    insights: Meter,
    trace: u128,
    root: u64,
    /// The app in the foreground, and for how many seconds.
    app: Option<(&'static str, f64)>,
    /// Start times of the running apps, in seconds since logon.
    running: BTreeMap<&'static str, f64>,
    spans: Vec<Span>,
    insights_spans: Vec<Span>,
    log: Vec<Line>,
    offset: u64,
    exported: Vec<(Timestamp, Exported)>,
    rng: fastrand::Rng,
    answers: &'a mut Answers,
    is_first: bool,
}

impl Simulation<'_> {
    fn has(&self, trouble: Trouble) -> bool {
        self.desk.trouble == Some(trouble)
    }

    fn log_on(&mut self) {
        let key = events::SESSION_ID;
        let attributes = vec![(key, Value::StringValue(self.session.clone()))];
        self.exported.push((
            self.start,
            Exported::Event(events::SESSION_START, "The session has started.".to_owned(), attributes),
        ));
        self.agent.add(&m::PLATFORM_STARTS, &[], 1.0);
        let slow = if self.has(Trouble::Starved) { 45.0 } else { 8.0 };
        let took = slow * (0.5 + self.rng.f64());
        self.agent.record(&m::PLATFORM_START_DURATION, &[], took);
        self.insights.set(&p::PLATFORM_STARTUP, &[], took * 1e3);
        self.insights.set(&p::LAYOUT_STARTUP, &[("layout", "Morning")], took * 300.0);
        let workspace: &[_] = &[("layout", "Client overview")];
        self.insights.add(&p::WORKSPACE_SELECTED, workspace, 1.0);
        self.insights.set(&p::WORKSPACE_STARTUP, workspace, took * 200.0);
        self.log_line("INFO", "app.manager", "Platform started".to_owned());
        self.export();
    }

    fn step(&mut self, seconds: f64, lunch: bool) {
        let state = if lunch {
            "locked"
        } else if self.rng.f64() < 0.08 {
            "idle"
        } else {
            "active"
        };
        if state == "active" {
            self.use_apps(seconds);
        } else {
            self.leave_app();
        }
        self.now += seconds;
        self.agent.add(&m::USER_SESSION_TIME, &[(m::SESSION_STATE.name, state)], seconds);
        add(&mut self.answers.user_sessions, &self.desk.user, (0.0, seconds));
        self.machine(seconds);
        self.errors(seconds);
        if state == "active" {
            self.calls(seconds);
            self.insights.add(&p::WORKSPACE_SELECTED, &[("layout", "Client overview")], f64::from(self.rng.u8(..2)));
        }
        if self.has(Trouble::Crash) && self.is_first && self.now >= CRASH_AT && self.now - seconds < CRASH_AT {
            self.crash_app();
        }
        for _ in 0..self.rng.u8(2..9) {
            let number = self.rng.u32(..);
            self.log_line("INFO", "gw.node", format!("update of context {number:08x} delivered to 4 subscribers"));
        }
        self.export();
    }

    fn use_apps(&mut self, seconds: f64) {
        let (mut left, mut at) = (seconds, self.now);
        while left > 0.0 {
            let stays = self.app.is_some() && self.rng.f64() < 0.3;
            if !stays {
                self.switch(at);
            }
            let Some((app, there)) = &mut self.app else { return };
            let length = (5.0 - 70.0 * self.rng.f64().max(1e-9).ln()).min(left);
            *there += length;
            self.agent.add(&m::APP_FOCUS_TIME, &[(m::APP_NAME.name, app)], length);
            let key = ((*app).to_owned(), self.desk.department.name.to_owned());
            *self.answers.focus.entry(key).or_default() += length;
            *self.answers.active.entry(self.desk.user.clone()).or_default() += length;
            (left, at) = (left - length, at + length);
        }
    }

    /// Switches to another app.
    fn switch(&mut self, at: f64) {
        let before = self.app.map(|(app, _)| app);
        let others = self.desk.department.apps.iter().filter(|(app, _)| Some(*app) != before);
        let all: u32 = others.clone().map(|(_, often)| often).sum();
        let mut chosen = self.rng.u32(..all);
        let Some((app, _)) = others.clone().find(|(_, often)| {
            let here = chosen < *often;
            chosen = chosen.saturating_sub(*often);
            here
        }) else {
            return;
        };
        self.end_focus(at);
        if before.is_some() {
            self.agent.add(&m::APP_SWITCHES, &[(m::APP_NAME.name, app)], 1.0);
            *self.answers.switches.entry(self.desk.user.clone()).or_default() += 1.0;
        }
        if *app != "other" && !self.running.contains_key(app) {
            self.start_app(app, at);
        }
        self.app = Some((app, 0.0));
    }

    fn start_app(&mut self, app: &'static str, at: f64) {
        self.running.insert(app, at);
        self.agent.add(&m::APP_STARTS, &[(m::APP_NAME.name, app)], 1.0);
        self.agent.set(&m::APP_RUNNING, &[(m::APP_NAME.name, app)], 1.0);
        *self.answers.starts.entry(app.to_owned()).or_default() += 1.0;
        let of: &[_] = &[("application", app)];
        self.insights.add(&p::APP_STARTED, of, 1.0);
        self.insights.set(&p::APP_COUNT, of, 1.0);
        self.insights.set(&p::APP_STARTUP, of, 300.0 + 2000.0 * self.rng.f64());
    }

    fn end_app(&mut self, app: &'static str, at: f64) {
        let Some(from) = self.running.remove(app) else { return };
        self.agent.record(&m::APP_SESSION_DURATION, &[(m::APP_NAME.name, app)], at - from);
        self.agent.set(&m::APP_RUNNING, &[(m::APP_NAME.name, app)], 0.0);
        self.insights.set(&p::APP_COUNT, &[("application", app)], 0.0);
        add(&mut self.answers.app_sessions, app, (1.0, at - from));
        self.span(spans::APP_SESSION.name, Some(app), from, at - from);
    }

    fn leave_app(&mut self) {
        self.end_focus(self.now);
        self.app = None;
    }

    fn end_focus(&mut self, at: f64) {
        let Some((app, there)) = self.app else { return };
        self.agent.record(&m::APP_FOCUS_DURATION, &[(m::APP_NAME.name, app)], there);
        if app != "other" {
            self.insights.set(&p::APP_DURATION, &[("application", app)], there * 1e3);
            self.span(spans::FOCUS.name, Some(app), at - there, there);
        }
        // Half of the time, the charts are closed.
        if app == "charts" && self.rng.bool() {
            self.end_app(app, at);
        }
    }

    fn machine(&mut self, seconds: f64) {
        let starved = self.has(Trouble::Starved);
        let hot = starved && self.rng.f64() < 0.6;
        let busy = if hot { 0.93 + 0.07 * self.rng.f64() } else { 0.1 + 0.4 * self.rng.f64() };
        let used = if starved { 0.95 } else { 0.4 + 0.2 * self.rng.f64() };
        let above = if hot { seconds } else { 0.0 };
        let (agent, threshold) = (&mut self.agent, &[(m::THRESHOLD.name, THRESHOLD)]);
        agent.add(&m::CPU_TIME_ABOVE_THRESHOLD, threshold, above);
        agent.add(&m::MEMORY_TIME_ABOVE_THRESHOLD, threshold, if starved { seconds } else { 0.0 });
        agent.set(&m::SYSTEM_CPU_UTILIZATION, &[], busy);
        agent.set(&m::SYSTEM_CPU_LOGICAL_COUNT, &[], 8.0);
        agent.set(&m::SYSTEM_MEMORY_LIMIT, &[], MEMORY);
        agent.set(&m::SYSTEM_MEMORY_UTILIZATION, &[], used);
        agent.set(&m::SYSTEM_UPTIME, &[], self.now + 300.0);
        for (state, share) in [("used", used), ("free", 1.0 - used)] {
            agent.set(&m::SYSTEM_MEMORY_USAGE, &[(m::MEMORY_STATE.name, state)], share * MEMORY);
            agent.set(&m::SYSTEM_PAGING_USAGE, &[(m::PAGING_STATE.name, state)], share * MEMORY / 4.0);
            let volume: &[_] = &[(m::FILESYSTEM_MOUNTPOINT.name, "C:"), (m::FILESYSTEM_STATE.name, state)];
            agent.set(&m::SYSTEM_FILESYSTEM_USAGE, volume, 5e11);
        }
        agent.set(&m::SYSTEM_PAGING_UTILIZATION, &[], used / 2.0);
        agent.set(&m::SYSTEM_FILESYSTEM_LIMIT, &[(m::FILESYSTEM_MOUNTPOINT.name, "C:")], 1e12);
        agent.set(&m::SYSTEM_FILESYSTEM_UTILIZATION, &[(m::FILESYSTEM_MOUNTPOINT.name, "C:")], 0.5);
        for direction in ["transmit", "receive"] {
            let interface: &[_] = &[(m::NETWORK_INTERFACE.name, "Ethernet"), (m::NETWORK_DIRECTION.name, direction)];
            agent.add(&m::SYSTEM_NETWORK_IO, interface, seconds * 4e4 * self.rng.f64());
        }
        for (role, count, megabytes) in
            [("main", 1.0, 350.0), ("renderer", 6.0, 1800.0), ("gpu", 1.0, 250.0), ("utility", 2.0, 120.0)]
        {
            let role: &[_] = &[(m::PROCESS_ROLE.name, role)];
            agent.set(&m::PROCESS_COUNT, role, count);
            agent.set(&m::PROCESS_MEMORY_USAGE, role, megabytes * 1e6 * (0.9 + 0.2 * self.rng.f64()));
            agent.set(&m::PROCESS_CPU_UTILIZATION, role, busy / 5.0);
            agent.add(&m::PROCESS_CPU_TIME, role, busy / 5.0 * 8.0 * seconds);
        }
        *self.answers.limit.entry(self.desk.host.clone()).or_default() += above;
        self.platform_machine(busy, used);
    }

    fn platform_machine(&mut self, busy: f64, used: f64) {
        for (kind, value) in
            [("current_system_cpu", busy), ("average_system_cpu", busy), ("average_platform_cpu", busy / 2.0)]
        {
            self.insights.set(&p::SYSTEM_CPU, &[("type", kind)], value * 100.0);
        }
        for (kind, share) in
            [("free_system_memory", 1.0 - used), ("used_system_memory", used), ("used_platform_memory", 0.15)]
        {
            self.insights.set(&p::SYSTEM_MEMORY, &[("type", kind)], share * MEMORY / 1e9);
        }
        for app in self.running.keys().copied() {
            let base = if app == "charts" { 600_000.0 } else { 200_000.0 };
            let kilobytes = (base * (0.9 + 0.2 * self.rng.f64())).round();
            let of: &[_] = &[("application", app), ("applicationInstance", &self.session[..8])];
            self.insights.set(&p::APP_MEMORY, of, kilobytes);
            self.insights.set(&p::APP_CPU, of, busy * 20.0);
            let max = self.answers.memory.entry(app.to_owned()).or_default();
            *max = max.max(kilobytes);
        }
    }

    fn errors(&mut self, seconds: f64) {
        let hour = after(self.start, self.now).to_zoned_datetime(jiff::tz::TimeZone::UTC).hour();
        let opening = if hour == OPENING.0 { OPENING.1 } else { 1.0 };
        let starved = if self.has(Trouble::Starved) { STARVED } else { 1.0 };
        for _ in 0..self.occurrences(ERRORS_PER_HOUR / 3600.0 * seconds * opening * starved) {
            let app = self.app.map_or("blotter", |(app, _)| if app == "other" { "blotter" } else { app });
            self.insights.add(&p::APP_ERROR, &[("application", app)], 1.0);
            if self.rng.f64() < 0.2 {
                self.insights.add(&p::PLATFORM_ERROR, &[], 1.0);
            }
            *self.answers.errors.entry(self.desk.host.clone()).or_default() += 1.0;
            *self.answers.errors_by_hour.entry(hour).or_default() += 1.0;
            let message = format!(
                "{app} failed to render\nTypeError: cannot read properties of undefined\n    at render (app.js:17:4)"
            );
            self.log_line("ERROR", "app.console", message);
        }
    }

    fn calls(&mut self, seconds: f64) {
        for (action, often) in ACTIONS {
            let bad = self.has(Trouble::Failing) && *action == FAILING;
            for _ in 0..self.occurrences(often * seconds / 60.0 * if bad { 8.0 } else { 1.0 }) {
                let failed = self.rng.f64() < if bad { 0.6 } else { 0.004 };
                let took = 5.0 + 40.0 * self.rng.f64();
                self.call(p::INVOKE, ("method", action), took, failed);
                add_call(&mut self.answers.actions, action, &self.desk.user, took, failed);
            }
        }
        for (backend, usual) in BACKENDS {
            for _ in 0..self.occurrences(1.5 * seconds / 60.0) {
                let far = if self.desk.slow && *backend == SLOW { 15.0 } else { 1.0 };
                let took = usual * far * (0.5 + self.rng.f64());
                self.call(p::FETCH, ("url", backend), took, false);
                add_call(&mut self.answers.backends, backend, &self.desk.user, took, false);
            }
        }
    }

    /// Adds a span of the platform, and the metrics that the platform derives from it.
    fn call(&mut self, source: &'static str, what: (&'static str, &str), took: f64, failed: bool) {
        let of: &[_] = &[("source", source), what];
        self.insights.add(&p::TRACE_COUNT, of, 1.0);
        self.insights.record(&p::TRACE_DURATION, of, took);
        let code = if failed { StatusCode::Error } else { StatusCode::Ok };
        self.insights.add(&p::TRACE_RESULT, &[("source", source), what, ("code", if failed { "2" } else { "1" })], 1.0);
        // The platform keeps one in ten spans without an error.
        if !failed && self.rng.f64() > 0.1 {
            return;
        }
        let message = if failed { "no answer from the adapter".to_owned() } else { String::new() };
        let end = after(self.start, self.now);
        self.insights_spans.push(Span {
            trace_id: self.rng.u128(1..).to_be_bytes().to_vec(),
            span_id: self.rng.u64(1..).to_be_bytes().to_vec(),
            name: source.to_owned(),
            kind: SpanKind::Internal.into(),
            start_time_unix_nano: nanos(after(end, -took / 1e3)),
            end_time_unix_nano: nanos(end),
            attributes: vec![text(what.0, what.1), text("user", &self.desk.user)],
            status: Some(Status { message, code: code.into() }),
            ..Span::default()
        });
    }

    fn crash_app(&mut self) {
        let app = "blotter";
        let story = [
            ("WARN", "app.memory", format!("{app} uses 1.9 GB of 2 GB")),
            (
                "ERROR",
                "app.console",
                format!(
                    "{app} is out of memory\nRangeError: Array buffer allocation failed\n    at load (grid.js:88:12)"
                ),
            ),
            ("ERROR", "app.manager", format!("{app} has crashed (oom)")),
            ("INFO", "app.manager", format!("{app} was started again")),
        ];
        let said = story.iter().map(|(_, _, message)| message.lines().next().unwrap_or_default().to_owned()).collect();
        for (level, category, message) in story {
            self.log_line(level, category, message);
        }
        self.agent.add(&m::PLATFORM_CRASHES, &[], 1.0);
        self.agent.add(&m::APP_CRASHES, &[(m::APP_NAME.name, app)], 1.0);
        self.agent.add(&m::APP_HANGS, &[(m::APP_NAME.name, app)], 1.0);
        self.insights.add(&p::APP_CRASH, &[("application", app), ("reason", "oom")], 1.0);
        self.end_app(app, self.now);
        self.start_app(app, self.now);
        let (host, session) = (self.desk.host.clone(), self.session.clone());
        self.answers.breakdowns.push(Breakdown { host, session, app: app.to_owned(), story: said });
    }

    fn log_off(&mut self, length: f64) {
        self.leave_app();
        for app in self.running.keys().copied().collect::<Vec<_>>() {
            self.end_app(app, self.now);
        }
        self.agent.record(&m::PLATFORM_SESSION_DURATION, &[], length);
        self.span(spans::PLATFORM_SESSION.name, None, 0.0, self.now);
        add(&mut self.answers.user_sessions, &self.desk.user, (1.0, 0.0));
        self.now += 1.0;
        self.export();
    }

    fn span(&mut self, name: &str, app: Option<&str>, from: f64, length: f64) {
        let (parent, id) = match app {
            Some(_) => (self.root.to_be_bytes().to_vec(), self.rng.u64(1..)),
            None => (Vec::new(), self.root),
        };
        self.spans.push(Span {
            trace_id: self.trace.to_be_bytes().to_vec(),
            span_id: id.to_be_bytes().to_vec(),
            parent_span_id: parent,
            name: name.to_owned(),
            kind: SpanKind::Internal.into(),
            start_time_unix_nano: nanos(after(self.start, from)),
            end_time_unix_nano: nanos(after(self.start, from + length)),
            attributes: app.map(|app| text(m::APP_NAME.name, app)).into_iter().collect(),
            ..Span::default()
        });
    }

    fn log_line(&mut self, level: &'static str, category: &'static str, message: String) {
        let severity = match level {
            "ERROR" => SeverityNumber::Error,
            "WARN" => SeverityNumber::Warn,
            _ => SeverityNumber::Info,
        };
        self.log.push(Line { level: (level, severity), category, message });
    }

    /// Returns a random number of occurrences (Poisson) for an expected number.
    fn occurrences(&mut self, expected: f64) -> u32 {
        let (mut count, mut product) = (0, self.rng.f64());
        while product > (-expected).exp() {
            count += 1;
            product *= self.rng.f64();
        }
        count
    }

    /// Exports the data collected since the last export.
    fn export(&mut self) {
        let at = after(self.start, self.now);
        for meter in [&self.agent, &self.insights] {
            self.exported.push((at, Exported::Request(meter.export(at))));
        }
        let spans = std::mem::take(&mut self.spans);
        if !spans.is_empty() {
            self.exported.push((at, Exported::Spans(spans)));
        }
        let spans = std::mem::take(&mut self.insights_spans);
        if !spans.is_empty() {
            self.exported.push((at, Exported::Request(traces(self.platform.clone(), spans, at))));
        }
        let log = std::mem::take(&mut self.log);
        if self.desk.shares
            && let Some(batch) = logs(self.desk, &self.session, &self.resource, &mut self.offset, &log, nanos(at))
        {
            self.exported.push((at, Exported::Request(batch)));
        }
    }
}

fn after(at: Timestamp, seconds: f64) -> Timestamp {
    jiff::SignedDuration::try_from_secs_f64(seconds).ok().and_then(|length| at.checked_add(length).ok()).unwrap_or(at)
}

fn uuid(rng: &mut fastrand::Rng) -> String {
    let digits = format!("{:032x}", rng.u128(..));
    format!("{}-{}-4{}-a{}-{}", &digits[..8], &digits[8..12], &digits[13..16], &digits[17..20], &digits[20..])
}
