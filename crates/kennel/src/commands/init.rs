//! `kennel init`: a config file to start from, and the permissions that kennel needs.

use std::{
    fmt::Write as _,
    fs::OpenOptions,
    io::{ErrorKind, Write as _},
    path::PathBuf,
};

use crate::{context::Context, error::CliError, exit::Exit, settings::FILE_NAME};

/// Write a commented kennel.toml and print the permissions that kennel needs
///
/// The permissions are an IAM policy document on standard output: list and read on those buckets, and
/// decrypt through S3 for what lies in them. Attach it to whoever runs `kennel sync`; queries need none.
///
/// The file goes to `./kennel.toml`, or where `--config` says.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kennel init --k9 s3://acme-k9-inbox --profile audit
  kennel init --k9 s3://acme-k9-inbox --cloudtrail s3://acme-trail/prefix > policy.json
  kennel init --k9 file:///srv/k9-inbox")]
pub(crate) struct Args {
    /// k9's secure inbox: s3://BUCKET[/PREFIX] or file:///PATH
    #[arg(long, value_name = "URL", value_parser = parse_url)]
    k9: Option<String>,
    /// A CloudTrail delivery: s3://BUCKET[/PREFIX] or file:///PATH
    #[arg(long, value_name = "URL", value_parser = parse_url)]
    cloudtrail: Option<String>,
    /// Profile of the AWS config file
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Region of the buckets [default: found out]
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// Another S3 than AWS's, for example http://localhost:9000
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// Overwrite an existing file
    #[arg(long)]
    force: bool,
}

fn parse_url(text: &str) -> Result<String, String> {
    let bucket = text
        .strip_prefix("s3://")
        .map(|rest| rest.split('/').next().unwrap_or_default());
    match bucket {
        Some("") => Err(format!("`{text}` names no bucket")),
        Some(_) => Ok(text.to_owned()),
        None if text.starts_with("file:///") || text.starts_with("file://.") => Ok(text.to_owned()),
        None => Err(format!(
            "`{text}` is not s3://BUCKET[/PREFIX] or file:///PATH"
        )),
    }
}

pub(crate) fn run(args: &Args, cx: &Context) -> Result<Exit, CliError> {
    let path = cx
        .named_config
        .clone()
        .unwrap_or_else(|| PathBuf::from(FILE_NAME));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    if !args.force {
        options.create_new(true);
    }
    let mut file = options.open(&path).map_err(|e| match e.kind() {
        ErrorKind::AlreadyExists => CliError::new(format!("`{}` is already there", path.display()))
            .hint("`--force` overwrites it; `--config FILE` writes elsewhere"),
        _ => CliError::new(format!("cannot write `{}`", path.display())).cause(&e),
    })?;
    file.write_all(config_text(args).as_bytes())
        .map_err(|e| CliError::new(format!("cannot write `{}`", path.display())).cause(&e))?;
    cx.printer.info(&format!("wrote {}", path.display()));
    let buckets = buckets(args);
    if buckets.is_empty() {
        cx.printer
            .info("no bucket on S3 is configured: no permissions are needed");
    } else {
        cx.printer
            .info("the least permissions that `kennel sync` needs, as an IAM policy:");
        cx.printer
            .data(&policy(&buckets, partition(args.region.as_deref())))?;
    }
    let next = if args.k9.is_some() || args.cloudtrail.is_some() {
        "next: `kennel sync --dry-run` shows what would be fetched, `kennel sync` fetches it"
    } else {
        "next: fill in the source in it, then `kennel sync --dry-run`"
    };
    cx.printer.info(next);
    Ok(Exit::Done)
}

fn config_text(args: &Args) -> String {
    let mut text = String::from(
        "# kennel.toml: what to mirror, and where to. Flags and environment variables beat this file;
# `kennel status --settings` shows each value and where it came from.

# Folder of the cache. Default: the platform's data folder + kennel.
# home = \"/var/lib/kennel\"

# Folders with queries of your own, beside those that come with kennel.
# queries = [\"./sql\"]

# [sync]
# concurrency = 64                # downloads at a time
# bandwidth_limit = \"20M\"         # bytes per second, over all downloads
# list_usd_per_1000 = 0.005       # prices for the estimate of --dry-run
# get_usd_per_1000 = 0.0004
",
    );
    let mut sources = Vec::new();
    sources.extend(args.k9.as_ref().map(|url| ("k9", url)));
    sources.extend(args.cloudtrail.as_ref().map(|url| ("cloudtrail", url)));
    if sources.is_empty() {
        text.push_str(
            "
# k9 Security's secure inbox.
# [[source]]
# name = \"k9\"
# kind = \"k9\"
# url  = \"s3://your-k9-inbox\"

# CloudTrail logs.
# [[source]]
# name = \"trail\"
# kind = \"cloudtrail\"
# url  = \"s3://your-trail/some/prefix\"
",
        );
    }
    for (kind, url) in sources {
        let (name, comment) = match kind {
            "k9" => (
                "k9",
                "k9 Security's secure inbox: kennel finds hive/parquet/… itself.",
            ),
            _ => ("trail", "CloudTrail logs: kennel finds AWSLogs/… itself."),
        };
        let _infallible = write!(
            text,
            "\n# {comment}\n[[source]]\nname = \"{name}\"\nkind = \"{kind}\"\nurl  = {}\n",
            quoted(url)
        );
        for (key, value, example) in [
            ("region", &args.region, "us-east-1"),
            ("profile", &args.profile, "audit"),
            ("endpoint_url", &args.endpoint_url, "http://localhost:9000"),
        ] {
            let _infallible = match value {
                Some(value) => writeln!(text, "{key} = {}", quoted(value)),
                None => writeln!(text, "# {key} = \"{example}\""),
            };
        }
        text.push_str(
            "# role_arn = \"arn:aws:iam::111122223333:role/kennel\"
# external_id = \"\"
# request_payer = true
# ca_bundle = \"ca.pem\"
# path_style = true
",
        );
        if kind == "k9" {
            text.push_str("# since = \"90d\"                 # how far back dated csv reports are imported as history; absent: all of them\n# csv_reports = false           # leave k9's csv reports alone\n");
        }
        if kind == "cloudtrail" {
            text.push_str("# since = \"90d\"                 # how far back the first sync reaches; absent: everything\nkeep_raw = true                 # keep the .json.gz: evidence, and proof by digests\n");
        }
    }
    text
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Bucket and the prefix below which is read, with its trailing slash.
fn buckets(args: &Args) -> Vec<(String, String)> {
    let below = |url: &Option<String>, folder: &str| {
        let rest = url.as_ref()?.strip_prefix("s3://")?.trim_end_matches('/');
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_matches('/');
        let prefix = match prefix.split_once(folder.trim_end_matches('/')) {
            // The layout's own folder is part of the configured prefix.
            Some(_) => format!("{prefix}/"),
            None if prefix.is_empty() => folder.to_owned(),
            None => format!("{prefix}/{folder}"),
        };
        Some((bucket.to_owned(), prefix))
    };
    // k9's csv reports: history from before the first sync.
    let csv = |folder: &str| {
        let is_whole = args
            .k9
            .as_ref()
            .is_some_and(|url| !url.contains("hive/parquet") && !url.contains("customers/"));
        below(&args.k9, folder).filter(|_| is_whole)
    };
    [
        below(&args.k9, "hive/parquet/"),
        csv("customers/"),
        csv("hive/customer_id="),
        below(&args.cloudtrail, "AWSLogs/"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn partition(region: Option<&str>) -> &'static str {
    match region {
        Some(region) if region.starts_with("us-gov-") => "aws-us-gov",
        Some(region) if region.starts_with("cn-") => "aws-cn",
        _ => "aws",
    }
}

fn policy(buckets: &[(String, String)], partition: &str) -> String {
    use serde_json::json;
    let arn = |resource: &str| format!("arn:{partition}:s3:::{resource}");
    let list = buckets.iter().enumerate().map(|(i, (bucket, prefix))| {
        json!({
            "Sid": format!("List{i}"),
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": arn(bucket),
            "Condition": { "StringLike": { "s3:prefix": format!("{prefix}*") } },
        })
    });
    let objects = buckets
        .iter()
        .map(|(bucket, prefix)| arn(&format!("{bucket}/{prefix}*")))
        .collect::<Vec<_>>();
    // With a bucket key the context names the bucket, without one the object.
    let contexts = buckets
        .iter()
        .flat_map(|(bucket, _)| [arn(bucket), arn(&format!("{bucket}/*"))])
        .collect::<Vec<_>>();
    let mut statements = list.collect::<Vec<_>>();
    statements.push(
        json!({ "Sid": "Read", "Effect": "Allow", "Action": "s3:GetObject", "Resource": objects }),
    );
    statements.push(json!({
        "Sid": "DecryptThroughS3",
        "Effect": "Allow",
        "Action": "kms:Decrypt",
        "Resource": "*",
        "Condition": { "StringLike": {
            "kms:ViaService": "s3.*.amazonaws.com*",
            "kms:EncryptionContext:aws:s3:arn": contexts,
        } },
    }));
    let document = json!({ "Version": "2012-10-17", "Statement": statements });
    serde_json::to_string_pretty(&document).expect("a JSON value always serialises")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> Args {
        Args {
            k9: Some("s3://acme-k9-inbox".into()),
            cloudtrail: Some("s3://acme-trail/some/prefix/".into()),
            profile: Some("a\"b".into()),
            region: None,
            endpoint_url: None,
            force: false,
        }
    }

    #[test]
    fn the_written_file_is_a_valid_config_whatever_the_flags_hold() {
        for args in [
            args(),
            Args {
                k9: None,
                cloudtrail: None,
                ..args()
            },
        ] {
            let text = config_text(&args);
            let table = text.parse::<toml::Table>().unwrap();
            let sources = table
                .get("source")
                .and_then(|s| s.as_array())
                .map_or(0, Vec::len);
            assert_eq!(sources, if args.k9.is_some() { 2 } else { 0 });
        }
        assert!(config_text(&args()).contains("a\\\"b") || config_text(&args()).contains("'a\"b'"));
    }

    #[test]
    fn the_policy_names_only_what_is_read() {
        let text = policy(&buckets(&args()), partition(Some("us-gov-west-1")));
        let document = serde_json::from_str::<serde_json::Value>(&text).unwrap();
        let statements = document["Statement"].as_array().unwrap();
        assert_eq!(
            statements[0]["Resource"],
            "arn:aws-us-gov:s3:::acme-k9-inbox"
        );
        assert_eq!(
            statements[0]["Condition"]["StringLike"]["s3:prefix"],
            "hive/parquet/*"
        );
        assert_eq!(
            statements[1]["Condition"]["StringLike"]["s3:prefix"],
            "customers/*"
        );
        assert_eq!(
            statements[3]["Condition"]["StringLike"]["s3:prefix"],
            "some/prefix/AWSLogs/*"
        );
        assert_eq!(
            statements[4]["Resource"][3],
            "arn:aws-us-gov:s3:::acme-trail/some/prefix/AWSLogs/*"
        );
        assert_eq!(statements[5]["Action"], "kms:Decrypt");
    }

    #[test]
    fn a_prefix_that_holds_the_layout_is_not_given_it_twice() {
        let args = Args {
            k9: Some("s3://b/x/hive/parquet".into()),
            cloudtrail: None,
            ..args()
        };
        assert_eq!(
            buckets(&args),
            [("b".to_owned(), "x/hive/parquet/".to_owned())]
        );
    }
}
