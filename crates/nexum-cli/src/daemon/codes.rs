//! The codes of errors of the core.

use nexum_core::supervisor::{StartError, SteerError};
use nexum_core::{ChangeError, CommandError};

use crate::error_code::ErrorCode;

/// The code of an error of the supervisor.
pub(super) fn code_of(error: &SteerError) -> ErrorCode {
    match error {
        SteerError::Exists(_) => ErrorCode::ModuleExists,
        SteerError::NoModule(_) => ErrorCode::ModuleNotFound,
        SteerError::Loading(_) => ErrorCode::ModuleLoading,
        SteerError::Removed(_) => ErrorCode::ModuleUnwanted,
        SteerError::Disabled(_) => ErrorCode::ModuleDisabled,
        SteerError::Shared => ErrorCode::StateInUse,
        SteerError::TakenOver(_) => ErrorCode::ModuleElsewhere,
        SteerError::NoQueries(_) => ErrorCode::QueryUnsupported,
        SteerError::NoEvents(_) => ErrorCode::ModuleHasNoEvents,
        SteerError::Start(StartError::NoSource { .. }) => ErrorCode::ChainUnknown,
        SteerError::Start(StartError::Store(_)) | SteerError::Commit(_) => ErrorCode::StoreUnavailable,
        SteerError::NotRunning => ErrorCode::DaemonStopping,
        SteerError::Command(error) => match error {
            CommandError::Init(_) | CommandError::Withdrawn => ErrorCode::InitFailed,
            CommandError::Failed(_) => ErrorCode::EventFailed,
            CommandError::NoLetter(_) => ErrorCode::DeadLetterNotFound,
            CommandError::NoEffect { .. } => ErrorCode::EffectNotFound,
            CommandError::NotRunning => ErrorCode::ModuleNotRunning,
            CommandError::Standby(_) => ErrorCode::ModuleElsewhere,
            CommandError::Dead => ErrorCode::ModuleDead,
            CommandError::Store(_) => ErrorCode::StoreUnavailable,
            CommandError::Gone => ErrorCode::ModuleRemoved,
            _ => ErrorCode::InternalError,
        },
        _ => ErrorCode::InternalError,
    }
}

/// The code of an error in the files of modules, or in their change.
pub(super) fn code_of_change(error: &ChangeError) -> ErrorCode {
    match error {
        ChangeError::Host(error) | ChangeError::Refused { error, .. } => code_of(error),
        ChangeError::Cancelled(_) => ErrorCode::ModuleRemoved,
        ChangeError::Renamed { .. } => ErrorCode::ModuleRenamed,
        _ => ErrorCode::ModuleRefused,
    }
}
