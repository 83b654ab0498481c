//! Tokens: what stands in the place of a value. The same value has the same token wherever it stands, so that redacted
//! results join as the others did; which kind of token it is, is seen from the value alone.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{LazyLock, Mutex, PoisonError},
};

use hmac::{Hmac, KeyInit, Mac};
use regex::Regex;

use super::columns::{Words, words};

/// Characters of a token after its kind: 60 bits, so that a million names have no two equal tokens.
const TOKEN_CHARS: usize = 12;

/// Small letters and digits that nobody confuses.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Tokens that are remembered before they are made again.
const REMEMBERED: usize = 200_000;

/// First parts of resources in ARNs: they say what a resource is, not which.
static RESOURCE_WORDS: Words = LazyLock::new(|| {
    words(
        "\
    accelerator access-point accesspoint accesspolicy agent alarm alias analyzer api apis app \
    application archive-rule assumed-role autoscalinggroup aws-reserved aws-service-role backup-plan \
    backup-vault broker bucket build bus capacity-provider catalog certificate certificate-authority \
    cluster cluster-snapshot codeartifact collection component configuration connection container \
    container-instance crawler dashboard data-set database datasource db dbproxy delivery-stream \
    deliverystream deployment dhcp-options directory distribution document domain domainname \
    elastic-ip endpoint environment event-bus event-source-mapping eventbus export federated-user \
    file-system filter firewall flow function global-table graph group guardrail hostedzone identity \
    identitypool identityprovider image index instance instance-profile internet-gateway job key \
    key-pair keyspace launch-template layer listener listener-rule loadbalancer log-group log-stream \
    managed-instance mfa model natgateway network-acl network-interface notebook-instance object \
    oidc-provider organization ou outpost parameter parametergroup permissionset permissionSet \
    pipeline policy portfolio project prompt prefix-list provisioned-product query queue \
    recovery-point registry reportgroup repository resource restapis role root route-table route53 \
    rule rule-group saml-provider scalinggroup schema secret security-group server-certificate \
    service service-role servicequota session sms-mfa snapshot spot-instances-request stack stackset \
    stage stateMachine execution storage-lens stream sts subgrp subnet table target targetgroup task \
    task-definition task-set topic trail transit-gateway trigger u2f user userpool vault version \
    volume vpc vpc-endpoint vpc-peering-connection webacl workflow workgroup workspace",
    )
});

/// The first four letters of AWS's unique ids: access keys, then users, roles and others.
const ID_PREFIXES: [&str; 12] = [
    "AKIA", "ASIA", "ABIA", "ACCA", "AROA", "AIDA", "AGPA", "AIPA", "ANPA", "ANVA", "APKA", "ASCA",
];

/// `prefix-` of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Account,
    Name,
    Address,
    AccessKey,
    UniqueId,
    Mail,
    Agent,
    Text,
    Binary,
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Account => "acct",
            Self::Name => "name",
            Self::Address => "ip",
            Self::AccessKey => "key",
            Self::UniqueId => "id",
            Self::Mail => "mail",
            Self::Agent => "agent",
            Self::Text => "text",
            Self::Binary => "bytes",
        }
    }
}

/// Makes tokens with the key of a home.
pub(super) struct Tokens {
    mac: Hmac<sha2::Sha256>,
    made: Mutex<HashMap<(Kind, String), String>>,
}

impl Tokens {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self {
            mac: Hmac::new_from_slice(key).expect("HMAC takes keys of any length"),
            made: Mutex::default(),
        }
    }

    /// The token of bytes that are of this kind.
    pub(super) fn of(&self, kind: Kind, value: &str) -> String {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let known = (kind, value.to_owned());
        if let Some(token) = made.get(&known) {
            return token.clone();
        }
        let token = self.compute(kind, value.as_bytes());
        if made.len() >= REMEMBERED {
            made.clear();
        }
        made.insert(known, token.clone());
        token
    }

    pub(super) fn compute(&self, kind: Kind, value: &[u8]) -> String {
        let mut mac = self.mac.clone();
        mac.update(kind.prefix().as_bytes());
        mac.update(&[0]);
        mac.update(value);
        let code = mac.finalize().into_bytes();
        let mut bits = code
            .iter()
            .take(8)
            .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        let mut token = format!("{}-", kind.prefix());
        for _ in 0..TOKEN_CHARS {
            token.push(char::from(ALPHABET[(bits & 31) as usize]));
            bits >>= 5;
        }
        token
    }

    /// A whole value that names something, or could.
    pub(super) fn of_value(&self, value: &str) -> String {
        if let Some(token) = self.of_known_shape(value) {
            return token;
        }
        // A list of values of known shape is one of tokens.
        let separators = [',', ';', ' ', '\n', '\t', '|'];
        if value.contains(separators) {
            let pieces = value.split_inclusive(separators).map(|piece| {
                let bare = piece.trim_end_matches(separators);
                let token = match bare {
                    "" => String::new(),
                    bare => self.of_known_shape(bare)?,
                };
                Some(token + &piece[bare.len()..])
            });
            if let Some(pieces) = pieces.collect::<Option<String>>() {
                return pieces;
            }
        }
        self.of(Kind::Name, value)
    }

    /// The token of a value that shows what it is; values that name nothing stay.
    fn of_known_shape(&self, value: &str) -> Option<String> {
        if names_nothing(value) {
            return Some(value.to_owned());
        }
        if is_arn(value) {
            return Some(self.of_arn(value));
        }
        if is_account(value) {
            return Some(self.of(Kind::Account, value));
        }
        if let Some(kind) = unique_id(value) {
            return Some(self.of(kind, value));
        }
        // `AROA…:session`
        if let Some((id, session)) = value.split_once(':')
            && let Some(kind) = unique_id(id)
        {
            return Some(format!("{}:{}", self.of(kind, id), self.of_value(session)));
        }
        if let Some(token) = self.of_address(value) {
            return Some(token);
        }
        is_mail(value).then(|| self.of(Kind::Mail, value))
    }

    /// An address, or a block of addresses; the two blocks that are everything stay.
    pub(super) fn of_address(&self, value: &str) -> Option<String> {
        if matches!(value, "0.0.0.0/0" | "::/0") {
            return Some(value.to_owned());
        }
        let (address, length) = match value.split_once('/') {
            Some((address, length)) if length.parse::<u8>().is_ok() => (address, Some(length)),
            Some(_) => return None,
            None => (value, None),
        };
        let parsed = address.parse::<IpAddr>().ok()?;
        let token = self.of(Kind::Address, &parsed.to_canonical().to_string());
        Some(match length {
            Some(length) => format!("{token}/{length}"),
            None => token,
        })
    }

    /// An ARN whose structure stays: partition, service, region and the words for kinds of resources. What AWS itself owns
    /// (`arn:aws:iam::aws:policy/…`) is known to everybody.
    pub(super) fn of_arn(&self, arn: &str) -> String {
        let mut parts = arn.splitn(6, ':');
        let mut next = || parts.next().unwrap_or_default();
        let (_, partition, service, region, account, resource) =
            (next(), next(), next(), next(), next(), next());
        let is_of_aws = account == "aws" && service == "iam" && resource.starts_with("policy/");
        if is_of_aws && !resource.contains(char::is_whitespace) {
            return arn.to_owned();
        }
        let open = |text: &str, is_open: bool| match is_open {
            true => text.to_owned(),
            false => self.of(Kind::Name, text),
        };
        let account = match account {
            "" | "*" => account.to_owned(),
            account if is_account(account) => self.of(Kind::Account, account),
            other => self.of(Kind::Name, other),
        };
        format!(
            "arn:{}:{}:{}:{account}:{}",
            open(
                partition,
                partition.starts_with("aws") && is_plain(partition)
            ),
            open(service, is_plain(service)),
            open(region, is_region(region)),
            self.of_resource(service, resource)
        )
    }

    fn of_resource(&self, service: &str, resource: &str) -> String {
        let last = resource.rfind(['/', ':']).map_or(0, |at| at + 1);
        let mut redacted = String::with_capacity(resource.len());
        let mut start = 0;
        for part in resource.split_inclusive(['/', ':']) {
            let name = part.trim_end_matches(['/', ':']);
            let stays = match start == last {
                // The account itself; every resource.
                true => name == "root" && service == "iam",
                false => service != "s3" && RESOURCE_WORDS.contains(name),
            };
            match stays || name.chars().all(|c| c == '*' || c == '?') {
                true => redacted.push_str(name),
                false => redacted.push_str(&self.of_segment(name)),
            }
            redacted.push_str(&part[name.len()..]);
            start += part.len();
        }
        redacted
    }

    /// A part of a resource or a path: no list, no ARN.
    pub(super) fn of_segment(&self, name: &str) -> String {
        if name.is_empty() || is_service_host(name) {
            return name.to_owned();
        }
        if is_account(name) {
            return self.of(Kind::Account, name);
        }
        if let Some(kind) = unique_id(name) {
            return self.of(kind, name);
        }
        if let Some(token) = self.of_address(name) {
            return token;
        }
        match is_mail(name) {
            true => self.of(Kind::Mail, name),
            false => self.of(Kind::Name, name),
        }
    }
}

/// Small letters, hyphens and few digits: a service or a partition, or a pattern of them.
fn is_plain(text: &str) -> bool {
    let is_known = |c: char| c.is_ascii_lowercase() || c == '-' || c == '*';
    let has_few_digits = text.chars().filter(char::is_ascii_digit).count() < 3;
    has_few_digits && text.len() <= 32 && text.chars().all(|c| is_known(c) || c.is_ascii_digit())
}

/// `us-east-1`, none, or all.
fn is_region(text: &str) -> bool {
    static REGION: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^([a-z]{2,3}(-[a-z]+){1,3}-\d{1,2}|aws-global|\*|)$")
            .expect("it is a fixed pattern")
    });
    REGION.is_match(text)
}

/// `arn:partition:service:region:account:resource`
pub(super) fn is_arn(value: &str) -> bool {
    value.starts_with("arn:") && value.matches(':').count() >= 5
}

pub(super) fn is_account(value: &str) -> bool {
    value.len() == 12 && value.bytes().all(|byte| byte.is_ascii_digit())
}

/// What kind of unique id of AWS it is, if it is one.
pub(super) fn unique_id(value: &str) -> Option<Kind> {
    let prefix = value.get(..4)?;
    let is_id = (16..=128).contains(&value.len())
        && value
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    let place = ID_PREFIXES.iter().position(|known| *known == prefix)?;
    is_id.then_some(if place < 4 {
        Kind::AccessKey
    } else {
        Kind::UniqueId
    })
}

fn is_mail(value: &str) -> bool {
    static MAIL: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^[^\s@:/<>]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$").expect("it is a fixed pattern")
    });
    MAIL.is_match(value)
}

/// `ec2.amazonaws.com`, `s3.us-east-1.amazonaws.com`: not `my-bucket.s3.amazonaws.com`.
fn is_service_host(value: &str) -> bool {
    static HOST: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^[a-z0-9-]{1,40}(\.[a-z]{2,3}(-[a-z]+){1,3}-\d)?\.amazonaws\.com(\.cn)?$")
            .expect("it is a fixed pattern")
    });
    HOST.is_match(value)
}

/// Values that are the same everywhere: nothing, everything, truth values, times, AWS and its services.
fn names_nothing(value: &str) -> bool {
    let is_word = matches!(
        value,
        "" | "*"
            | "-"
            | "null"
            | "true"
            | "false"
            | "AWS Internal"
            | "AWS"
            | "aws"
            | "root"
            | "HIDDEN_DUE_TO_SECURITY_REASONS"
    );
    is_word
        || is_service_host(value)
        || chrono::DateTime::parse_from_rfc3339(value).is_ok()
        || (value.len() == 10 && chrono::NaiveDate::parse_from_str(value, "%Y-%m-%d").is_ok())
}

/// An address of the sixth version, as it may stand in a text: times (`04:10:00`) are none.
pub(super) fn is_address_of_six(text: &str) -> bool {
    text.len() > 3 && text.parse::<Ipv6Addr>().is_ok()
}
