//! Whether the display of the session is off, as reported by Windows (Win32 documentation, "Power
//! Setting GUIDs": `GUID_SESSION_DISPLAY_STATUS`, 0 off, 1 on, 2 dimmed).

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::sync::atomic::{AtomicU32, Ordering};

use windows::Win32::Foundation::{ERROR_SUCCESS, HANDLE, LPARAM, WPARAM};
use windows::Win32::System::Power::{
    DEVICE_NOTIFY_SUBSCRIBE_PARAMETERS, HPOWERNOTIFY, POWERBROADCAST_SETTING, PowerSettingRegisterNotification,
    PowerSettingUnregisterNotification,
};
use windows::Win32::System::SystemServices::GUID_SESSION_DISPLAY_STATUS;
use windows::Win32::UI::WindowsAndMessaging::{
    DEVICE_NOTIFY_CALLBACK, PBT_POWERSETTINGCHANGE, PostThreadMessageW, WM_NULL,
};

const OFF: u32 = 0;
const ON: u32 = 1;

/// The status last reported. A process has one session, and a session has one status.
static STATUS: AtomicU32 = AtomicU32::new(ON);

/// Listens until it is dropped.
pub(super) struct Display(HPOWERNOTIFY);

impl Display {
    /// Starts listening. After each change, the thread with this id is woken by a message. Returns
    /// none if the notification is not available.
    pub(super) fn listen(thread: u32) -> Option<Self> {
        let mut recipient = DEVICE_NOTIFY_SUBSCRIBE_PARAMETERS {
            Callback: Some(on_change),
            Context: std::ptr::without_provenance_mut(thread as usize),
        };
        let mut registration: *mut c_void = std::ptr::null_mut();
        // SAFETY: the parameters are copied by the call; the callback is a function of this
        // program, and its context is a number that is never dereferenced.
        let result = unsafe {
            PowerSettingRegisterNotification(
                &GUID_SESSION_DISPLAY_STATUS,
                DEVICE_NOTIFY_CALLBACK,
                HANDLE((&raw mut recipient).cast()),
                &raw mut registration,
            )
        };
        if result == ERROR_SUCCESS {
            return Some(Self(HPOWERNOTIFY(registration as isize)));
        }
        tracing::debug!(?result, "failed to register for display notifications");
        None
    }

    /// Returns whether the display is off.
    pub(super) fn is_off() -> bool {
        STATUS.load(Ordering::Relaxed) == OFF
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        // SAFETY: it was registered once and is unregistered once.
        let _ = unsafe { PowerSettingUnregisterNotification(self.0) };
    }
}

/// Called on a thread of the system.
unsafe extern "system" fn on_change(context: *const c_void, kind: u32, setting: *const c_void) -> u32 {
    let setting = setting.cast::<POWERBROADCAST_SETTING>();
    if kind == PBT_POWERSETTINGCHANGE && !setting.is_null() {
        // SAFETY: for this kind the pointer is to such a setting of the stated length, which lives
        // through the call.
        let status = unsafe {
            let has_status = (*setting).DataLength as usize >= size_of::<u32>();
            has_status.then(|| (&raw const (*setting).Data).cast::<u32>().read_unaligned())
        };
        if let Some(status) = status {
            STATUS.store(status, Ordering::Relaxed);
            let thread = u32::try_from(context.addr()).unwrap_or_default();
            // SAFETY: if the thread has ended in the meantime, the call fails and nothing else
            // happens.
            let _ = unsafe { PostThreadMessageW(thread, WM_NULL, WPARAM(0), LPARAM(0)) };
        }
    }
    ERROR_SUCCESS.0
}
