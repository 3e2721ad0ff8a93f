//! Follows logind: whether the session is locked, or another session is shown on its seat
//! (org.freedesktop.login1(5): `LockedHint` and `Active` of a session). Without logind neither is
//! known.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio_stream::StreamExt as _;
use zbus::zvariant::OwnedObjectPath;

use crate::session::SessionState;

#[zbus::proxy(
    interface = "org.freedesktop.login1.Manager",
    default_service = "org.freedesktop.login1",
    default_path = "/org/freedesktop/login1",
    gen_blocking = false
)]
trait Manager {
    fn get_session(&self, id: &str) -> zbus::Result<OwnedObjectPath>;
}

#[zbus::proxy(
    interface = "org.freedesktop.login1.Session",
    default_service = "org.freedesktop.login1",
    gen_blocking = false
)]
trait Session {
    #[zbus(property)]
    fn locked_hint(&self) -> zbus::Result<bool>;
    #[zbus(property)]
    fn active(&self) -> zbus::Result<bool>;
}

/// Follows the session until it is dropped.
#[derive(Debug)]
pub(super) struct Logind {
    absence: Arc<Mutex<Option<SessionState>>>,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Logind {
    /// Starts following. `changed` is called on a separate thread after each change.
    pub(super) fn follow(changed: impl Fn() + Send + 'static) -> Self {
        let absence = Arc::new(Mutex::new(None));
        let (stop, stopped) = oneshot::channel();
        let publish = {
            let absence = Arc::clone(&absence);
            move |state| {
                *absence.lock() = state;
                changed();
            }
        };
        let thread = thread::Builder::new().name("logind".to_owned()).spawn(move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_io().build() {
                Ok(runtime) => runtime,
                Err(error) => {
                    return tracing::warn!(
                        "failed to start the logind runtime: {error:#}; only the screen saver shows locks"
                    );
                }
            };
            runtime.block_on(async {
                tokio::select! {
                    Err(error) = watch(&publish) => {
                        // The last known state may be out of date.
                        publish(None);
                        tracing::debug!("failed to follow logind: {error:#}; only the screen saver shows locks");
                    }
                    _ = stopped => {}
                }
            });
        });
        let running = thread.inspect_err(|error| tracing::warn!("failed to start the logind thread: {error:#}")).ok();
        Self { absence, running: running.map(|thread| (stop, thread)) }
    }

    /// Returns why the user cannot be at the session, if so.
    pub(super) fn absence(&self) -> Option<SessionState> {
        *self.absence.lock()
    }
}

impl Drop for Logind {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            // Fails if the thread has already ended, because there is no logind.
            let _ = stop.send(());
            if thread.join().is_err() {
                tracing::error!("logind thread panicked");
            }
        }
    }
}

/// Returns only when logind is no longer available.
async fn watch(publish: &impl Fn(Option<SessionState>)) -> zbus::Result<()> {
    let connection = zbus::Connection::system().await?;
    // `auto` is the session of this process, or else the session of its user that has a display
    // (sd_bus_path of logind, since 243).
    let id = std::env::var("XDG_SESSION_ID").ok().filter(|id| !id.is_empty()).unwrap_or_else(|| "auto".to_owned());
    let path = ManagerProxy::new(&connection).await?.get_session(&id).await?;
    let session = SessionProxy::builder(&connection).path(path)?.build().await?;
    let mut locks = session.receive_locked_hint_changed().await;
    let mut switches = session.receive_active_changed().await;
    loop {
        publish(match (session.active().await?, session.locked_hint().await?) {
            (false, _) => Some(SessionState::Disconnected),
            (true, true) => Some(SessionState::Locked),
            (true, false) => None,
        });
        let has_ended = tokio::select! {
            change = locks.next() => change.is_none(),
            change = switches.next() => change.is_none(),
        };
        if has_ended {
            return Err(zbus::Error::Failure("the connection has ended".to_owned()));
        }
    }
}
