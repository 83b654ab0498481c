//! The AWS CLI as the last resort: MFA codes and browser sign-ins are its business.

use std::{
    path::Path,
    process::Stdio,
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials as AwsKeys;
use chrono::{DateTime, Utc};
use tokio::{process::Command, time::timeout};
use tracing::debug;

use super::providers::LONGEST_MESSAGE;

/// What the AWS CLI gets: somebody may be typing an MFA code.
const CLI_LIMIT: Duration = Duration::from_secs(180);

/// What `aws configure export-credentials` prints.
#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Exported {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expiration: Option<DateTime<Utc>>,
}

/// Asks the AWS CLI, which may ask the person at the terminal.
pub(super) async fn export(cli: &Path, profile: &str) -> Result<AwsKeys, String> {
    let mut command = Command::new(cli);
    command.args([
        "configure",
        "export-credentials",
        "--format",
        "process",
        "--profile",
        profile,
    ]);
    command
        .stdin(Stdio::inherit())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    debug!(profile, "asking the AWS CLI");
    let output = timeout(CLI_LIMIT, command.output())
        .await
        .map_err(|_| "the AWS CLI does not answer".to_owned())?;
    let output = output.map_err(|error| format!("cannot run the AWS CLI: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said
            .lines()
            .map(str::trim)
            .rfind(|line| !line.is_empty())
            .unwrap_or("no reason given");
        return Err(format!(
            "the AWS CLI says: {}",
            last.chars().take(LONGEST_MESSAGE).collect::<String>()
        ));
    }
    // The parser's error would quote what it read.
    let exported: Exported = serde_json::from_slice(&output.stdout)
        .map_err(|_| "the AWS CLI printed no credentials".to_owned())?;
    let expiry = exported.expiration.map(SystemTime::from);
    Ok(AwsKeys::new(
        exported.access_key_id,
        exported.secret_access_key,
        exported.session_token,
        expiry,
        "aws-cli",
    ))
}
