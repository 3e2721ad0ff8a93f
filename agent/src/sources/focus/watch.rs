//! The loop of the focus source: wait, look, tell.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Recorder;
use super::crashes::Crashes;
use super::desktop::{Desktop, Look, Presence, Wake, Window};
use super::exits::Exits;
use super::family::Family;
use super::instances::{Change, Instances, Key, Owner};
use super::moment::Moment;
use super::tally::{FocusFigures, Tally};
use super::timeline::{AppName, Seen, Slice, Timeline};
use crate::config::{ConnectSettings, FocusSettings};
use crate::ioconnect::apps::{Apps, Facts, OTHER, PLATFORM};
use crate::ioconnect::folders;
use crate::ioconnect::processes::Role;
use crate::pause::Pause;
use crate::session::SessionState;
use parking_lot::Mutex;

/// Window managers say that no window is in front before they say which one is: so long it is waited for.
const SETTLE: Duration = Duration::from_millis(60);
/// How often windows, processes and crash dumps are listed although nothing told of any.
const LIST_INTERVAL: Duration = Duration::from_secs(30);

/// What the loop knows.
#[derive(Debug)]
pub(super) struct Watch {
    tally: Arc<Mutex<Tally>>,
    recorder: Recorder,
    settings: FocusSettings,
    pause: Pause,
    family: Family,
    apps: Apps,
    instances: Instances,
    crashes: Crashes,
    exits: Exits,
    /// None while there is a pause.
    timeline: Option<Timeline>,
    /// Windows that were there at the last list.
    listed: Vec<u64>,
    had_front: bool,
    hangs: bool,
    list_due: Instant,
}

impl Watch {
    pub(super) fn new(
        tally: Arc<Mutex<Tally>>,
        recorder: Recorder,
        settings: FocusSettings,
        connect: &ConnectSettings,
        pause: Pause,
    ) -> Self {
        Self {
            tally,
            recorder,
            pause,
            family: Family::new(&connect.process_names),
            apps: Apps::new(&settings),
            settings,
            instances: Instances::default(),
            crashes: Crashes::new(folders::user_data(connect)),
            exits: Exits::default(),
            timeline: None,
            listed: Vec::new(),
            had_front: false,
            hangs: false,
            list_due: Instant::now(),
        }
    }

    /// Until the desktop says that it has ended.
    pub(super) fn run(&mut self, desktop: &mut dyn Desktop) {
        // First of all, so that whatever is shown of the desktop, what was there before is known.
        if !self.pause.is_on() {
            self.list(desktop);
        }
        let mut wake = Wake::Nothing;
        while wake != Wake::Ended {
            if self.pause.is_on() {
                self.rest();
            } else {
                wake = wake.max(self.look(desktop));
                if wake == Wake::Ended {
                    break;
                }
                if wake == Wake::Windows || Instant::now() >= self.list_due {
                    self.list(desktop);
                }
            }
            let is_idle = self.timeline.as_ref().is_some_and(Timeline::is_idle);
            wake = desktop.wait(self.settings.poll_interval.get(), is_idle);
        }
        self.rest();
    }

    /// Nothing is seen from now on.
    fn rest(&mut self) {
        if let Some(mut timeline) = self.timeline.take() {
            let slices = timeline.finish(Moment::now());
            self.add(&slices);
            let mut tally = self.tally.lock();
            let over = tally.end_focus();
            tally.now = FocusFigures::default();
            drop(tally);
            self.recorder.record(over);
        }
    }

    /// Returns what the desktop told meanwhile.
    fn look(&mut self, desktop: &mut dyn Desktop) -> Wake {
        let (mut look, mut wake) = (desktop.look(), Wake::Nothing);
        if look.front.is_none() && self.had_front {
            let settled = Instant::now() + SETTLE;
            while look.front.is_none() && Instant::now() < settled && wake != Wake::Ended {
                wake = wake.max(desktop.wait(settled.saturating_duration_since(Instant::now()), false));
                look = desktop.look();
            }
        }
        self.had_front = look.front.is_some();
        if look.front.as_ref().is_some_and(|front| !self.listed.contains(&front.id)) {
            wake = wake.max(Wake::Windows);
        }
        let app = look.front.as_ref().map_or_else(|| OTHER.into(), |front| self.name(front).0);
        let seen = match look.presence {
            Presence::Here(idle) => Seen::Here { app: Arc::clone(&app), idle },
            Presence::Away(state) => Seen::Away(state),
        };
        let at = Moment::now();
        let idle_after = self.settings.idle_after.get();
        let timeline = self.timeline.get_or_insert_with(|| Timeline::new(idle_after, at));
        let slices = timeline.observe(at, seen);
        let (state, front) = timeline.now();
        self.add(&slices);
        self.tell(&look, state, front, desktop.problem());
        if look.hangs && !self.hangs {
            self.tally.lock().hang(&app);
        }
        self.hangs = look.hangs;
        wake
    }

    fn tell(&self, look: &Look, state: SessionState, front: Option<AppName>, problem: Option<&str>) {
        let mut tally = self.tally.lock();
        tally.now.state = Some(state);
        tally.now.app = front.filter(|_| look.front.is_some()).map(|app| app.to_string());
        tally.now.problem = problem.map(str::to_owned);
    }

    fn add(&self, slices: &[Slice]) {
        let mut tally = self.tally.lock();
        let took: Vec<_> = slices.iter().flat_map(|slice| tally.add(slice)).collect();
        drop(tally);
        self.recorder.record(took);
    }

    /// The app of a window, and what makes its instance.
    fn name(&mut self, window: &Window) -> (AppName, Owner) {
        let kin = self.family.of(window.pid);
        let app = self.apps.name(Facts {
            id: window.id,
            title: &window.title,
            class: &window.class,
            program: &kin.program,
            role: kin.role,
        });
        let is_window = matches!(kin.role, Some(role) if role != Role::Native);
        (app, if is_window { Owner::Window(window.id) } else { Owner::Process(window.pid) })
    }

    fn list(&mut self, desktop: &mut dyn Desktop) {
        let at = Moment::now();
        let mut shown = Vec::new();
        let mut processes = Vec::new();
        for key in self.instances.keys() {
            match key.owner {
                Owner::Window(id) => shown.push(id),
                Owner::Process(pid) => processes.push(pid),
            }
        }
        let windows = desktop.windows(&shown);
        let with_windows: Vec<u32> = windows.iter().map(|window| window.pid).collect();
        self.family.refresh(&[with_windows.as_slice(), &processes].concat());
        self.listed = windows.iter().map(|window| window.id).collect();
        self.apps.retain(|id| self.listed.contains(&id));
        let mut there = Vec::new();
        for window in &windows {
            let (app, owner) = self.name(window);
            if ![OTHER, PLATFORM].contains(&&*app) {
                there.push(Key { owner, app });
            }
        }
        // A native app without a window may be minimised to the tray.
        let alive =
            self.instances.keys().filter(|key| matches!(key.owner, Owner::Process(pid) if self.family.is_there(pid)));
        there.extend(alive.cloned());
        there.sort();
        there.dedup();
        for key in &there {
            if let Owner::Process(pid) = key.owner {
                self.exits.watch(pid);
            }
        }
        let changes = self.instances.see(at, &there);
        for change in &changes {
            if let Change::Ended { owner: Owner::Process(pid), app, .. } = change
                && self.exits.crashed(*pid)
            {
                self.tally.lock().crash(app);
            }
        }
        let mut tally = self.tally.lock();
        let mut took = tally.change(&at, changes, &self.instances.running());
        took.extend(tally.see_platforms(at, self.family.platforms(), &with_windows));
        tally.dumps += self.crashes.look();
        drop(tally);
        self.recorder.record(took);
        self.list_due = Instant::now() + LIST_INTERVAL;
    }
}
