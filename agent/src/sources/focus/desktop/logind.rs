//! logind: whether the session is locked, or another one is shown on its seat (org.freedesktop.login1(5): `LockedHint`
//! and `Active` of a session). Where it does not run, nothing is known of either.

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
    away: Arc<Mutex<Option<SessionState>>>,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Logind {
    /// Begins; `changed` is called, on a thread of its own, when there is something new.
    pub(super) fn follow(changed: impl Fn() + Send + 'static) -> Self {
        let away = Arc::new(Mutex::new(None));
        let (end, ended) = oneshot::channel();
        let tell = {
            let away = Arc::clone(&away);
            move |state| {
                *away.lock() = state;
                changed();
            }
        };
        let thread = thread::Builder::new().name("logind".to_owned()).spawn(move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_io().build() {
                Ok(runtime) => runtime,
                Err(error) => return tracing::warn!(%error, "locks are found by the screen saver only"),
            };
            runtime.block_on(async {
                tokio::select! {
                    Err(error) = watch(&tell) => {
                        // What was known may have changed meanwhile.
                        tell(None);
                        tracing::debug!(%error, "logind does not answer: locks are found by the screen saver only");
                    }
                    _ = ended => {}
                }
            });
        });
        let running = thread.inspect_err(|error| tracing::warn!(%error, "logind is not followed")).ok();
        Self { away, running: running.map(|thread| (end, thread)) }
    }

    /// Why nobody can be at the session, if so.
    pub(super) fn away(&self) -> Option<SessionState> {
        *self.away.lock()
    }
}

impl Drop for Logind {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.running.take() {
            // It has ended by itself where there is no logind.
            let _ = end.send(());
            if thread.join().is_err() {
                tracing::error!("the follower of logind ended by a panic");
            }
        }
    }
}

/// Returns only when logind cannot be asked any more.
async fn watch(tell: &impl Fn(Option<SessionState>)) -> zbus::Result<()> {
    let connection = zbus::Connection::system().await?;
    // `auto` is the session of this process, else the one of its user that has a display (sd_bus_path of logind, since 243).
    let id = std::env::var("XDG_SESSION_ID").ok().filter(|id| !id.is_empty()).unwrap_or_else(|| "auto".to_owned());
    let path = ManagerProxy::new(&connection).await?.get_session(&id).await?;
    let session = SessionProxy::builder(&connection).path(path)?.build().await?;
    let mut locks = session.receive_locked_hint_changed().await;
    let mut switches = session.receive_active_changed().await;
    loop {
        tell(match (session.active().await?, session.locked_hint().await?) {
            (false, _) => Some(SessionState::Disconnected),
            (true, true) => Some(SessionState::Locked),
            (true, false) => None,
        });
        let is_over = tokio::select! {
            change = locks.next() => change.is_none(),
            change = switches.next() => change.is_none(),
        };
        if is_over {
            return Err(zbus::Error::Failure("the connection has ended".to_owned()));
        }
    }
}
