//! Connects the tray to the agent: one task shows the status and carries out what the user chooses.

use std::time::Duration;

use insights_agent::agent::Agent;
use insights_agent::consent::LogKind;
use insights_agent::control::{Reply, Request};
use insights_agent::status::Status;
use jiff::tz::TimeZone;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::model::{Action, TrayModel};
use crate::window::Page;

/// How often the status is read. What the tray shows is never older.
const UPDATE_INTERVAL: Duration = Duration::from_secs(1);

/// Draws the tray.
pub(crate) trait TrayView {
    /// Replaces what the tray shows.
    fn show(&mut self, model: &TrayModel);
    /// Opens the window at a page, or brings it to the front.
    fn open(&mut self, page: Page);
}

/// The agent, as the tray needs it.
pub(crate) trait ControlledAgent {
    /// Returns the current status.
    fn status(&self) -> Status;
    /// Carries out a request.
    fn ask(&self, request: Request) -> impl Future<Output = Reply>;
}

impl ControlledAgent for Agent {
    fn status(&self) -> Status {
        Self::status(self)
    }

    async fn ask(&self, request: Request) -> Reply {
        Self::ask(self, request).await
    }
}

/// Opens the welcome page for a user who has neither answered it nor decided on any logs.
pub(crate) fn welcome(agent: &impl ControlledAgent, view: &mut impl TrayView) {
    let consent = agent.status().consent;
    if !consent.asked && LogKind::ALL.iter().all(|kind| consent.decision(*kind).is_none()) {
        view.open(Page::Welcome);
    }
}

/// Shows the status until the user quits or the sender of `actions` is gone.
///
/// `window_wanted` changes when another program asks for the window.
pub(crate) async fn run(
    agent: &impl ControlledAgent,
    view: &mut impl TrayView,
    actions: &mut UnboundedReceiver<Action>,
    mut window_wanted: watch::Receiver<u64>,
) {
    let zone = TimeZone::system();
    let mut shown = None;
    let mut update = tokio::time::interval(UPDATE_INTERVAL);
    update.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let model = TrayModel::of(&agent.status(), &zone);
        if shown.as_ref() != Some(&model) {
            view.show(&model);
            shown = Some(model);
        }
        let action = tokio::select! {
            _ = update.tick() => continue,
            action = actions.recv() => action,
            Ok(()) = window_wanted.changed() => Some(Action::Open),
        };
        let request = match action {
            None | Some(Action::Quit) => return,
            Some(Action::Share(kind)) => {
                Request::ShareLogs { kinds: vec![kind], shared: !agent.status().logs.shared.contains(&kind) }
            }
            Some(Action::Pause(until)) => Request::Pause { until },
            Some(Action::Open) => {
                view.open(Page::Overview);
                continue;
            }
        };
        if let Reply::Failed { why } = agent.ask(request).await {
            tracing::error!(?action, "failed to carry out a choice in the tray: {why}");
        }
        // Some desktops change the check mark themselves, before the agent has answered: draw it
        // again.
        shown = None;
    }
}

#[cfg(test)]
mod tests;
