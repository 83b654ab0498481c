//! Text of any kind: what is recognised by its form is replaced wherever it stands. A plain name has no form; the
//! columns and keys that hold names are known in [`super::columns`] and [`super::json`].

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::{
    REMOVED,
    token::{Kind, Tokens, is_account, is_address_of_six, is_arn, unique_id},
};

/// Of several that match, the one that begins first counts, then the one that stands first here. Digits and addresses are
/// taken as long as they are, so that no part of a longer one looks like a whole one.
static FORMS: LazyLock<Regex> = LazyLock::new(|| {
    let forms = [
        // Secrets by what stands before them: parameters of signed URLs, headers, keys of JSON.
        r#"(?P<label>(?i:x-amz-security-token|x-amz-signature|x-amz-credential|session_?token|secret_?access_?key|secret_?key|password|authorization|client_?secret)\\?["']?\s*(?:=|:|%3[Dd])\s*\\?["']?)[^\s"'&,;}\\]+"#,
        // Session tokens by how they begin.
        r"(?P<session>(?:IQoJ|FwoG|FQoG|AQoD)[A-Za-z0-9+/=%_-]{60,})",
        r#"(?P<arn>arn:[a-z][a-z0-9-]*:[^\s"'<>\\|{}\[\]]*)"#,
        r#"(?P<encoded>(?i:arn%3a[a-z])[^\s"'<>\\|{}&]*)"#,
        r#"(?P<url>s3[an]?://[^\s"'<>\\|{}\[\]?&]*)"#,
        r"(?P<bucket>[a-z0-9][a-z0-9.-]*\.s3[.-](?:[a-z0-9-]+\.)*amazonaws\.com)",
        r"(?P<percent>%\d{12,})",
        r"(?P<mail>[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)",
        r"(?P<id>(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA|AGPA|AIPA|ANPA|ANVA|APKA|ASCA)[A-Z0-9]{12,})",
        r"(?P<six>[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:]*(?:\d+\.\d+\.\d+\.\d+)?)",
        r"(?P<four>\d+(?:\.\d+){3,})",
        r"(?P<host>\bip(?:-\d+){4})",
        r"(?P<name>\bo-[a-z0-9]{10,32}\b|\b(?:i|vpc|vpce|subnet|sg|eni|vol|snap|ami|rtb|igw|nat|eipalloc|acl|lt|fs|tgw)-[0-9a-f]{8,17}\b)",
        r"(?P<digits>\d{12,})",
    ];
    Regex::new(&forms.join("|")).expect("it is a fixed pattern")
});

/// All but what URLs leave as it is.
const ENCODED: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'*');

/// Replaces what is recognised.
pub(super) fn redact(text: &str, tokens: &Tokens) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(found) = FORMS.captures_at(text, at) {
        let Some(whole) = found.get(0) else { break };
        redacted.push_str(&text[at..whole.start()]);
        let taken = match found
            .name("six")
            .map(|six| (six.as_str(), address_in(six.as_str())))
        {
            Some((_, Some(address))) => {
                redacted.push_str(&tokens.of_address(address).unwrap_or_default());
                address.len()
            }
            // Not an address: what follows its first colon is looked at anew.
            Some((six, None)) => {
                let taken = six.find(':').map_or(six.len(), |colon| colon + 1);
                redacted.push_str(&accounts(&six[..taken], tokens));
                taken
            }
            None => {
                redacted.push_str(&replaced(&found, whole.as_str(), tokens));
                whole.len()
            }
        };
        at = whole.start() + taken;
    }
    redacted.push_str(&text[at..]);
    redacted
}

fn replaced(found: &Captures<'_>, whole: &str, tokens: &Tokens) -> String {
    let is = |name| found.name(name).is_some();
    if let Some(label) = found.name("label") {
        return format!("{}{REMOVED}", label.as_str());
    }
    if is("session") {
        return REMOVED.to_owned();
    }
    if is("arn") {
        let arn = whole.trim_end_matches(['.', ',', ';', ':', ')', '!', '?', '`']);
        return match is_arn(arn) {
            true => tokens.of_arn(arn) + &whole[arn.len()..],
            false => accounts(whole, tokens),
        };
    }
    if is("encoded") {
        let decoded = percent_encoding::percent_decode_str(whole).decode_utf8_lossy();
        let redacted = match is_arn(&decoded) {
            true => tokens.of_arn(&decoded),
            false => accounts(&decoded, tokens),
        };
        return percent_encoding::utf8_percent_encode(&redacted, ENCODED).to_string();
    }
    if is("url") {
        let place = whole.find("://").map_or(0, |at| at + 3);
        let names = whole[place..]
            .split('/')
            .map(|name| tokens.of_segment(name));
        return whole[..place].to_owned() + &names.collect::<Vec<_>>().join("/");
    }
    if is("bucket") {
        return tokens.of(Kind::Name, whole);
    }
    if is("percent") {
        // `%20` and an account, or a pattern of LIKE.
        let place = if whole.len() == 15 { 3 } else { 1 };
        return whole[..place].to_owned() + &accounts(&whole[place..], tokens);
    }
    if is("mail") {
        return tokens.of(Kind::Mail, whole);
    }
    if is("id") {
        return tokens.of(unique_id(whole).unwrap_or(Kind::UniqueId), whole);
    }
    if is("name") {
        return tokens.of(Kind::Name, whole);
    }
    if is("host") {
        let address = whole["ip-".len()..].replace('-', ".");
        return match tokens.of_address(&address) {
            Some(token) => token,
            None => accounts(whole, tokens),
        };
    }
    match tokens.of_address(whole) {
        Some(token) => token,
        None => accounts(whole, tokens),
    }
}

/// The address that a text is but for colons at its end.
fn address_in(text: &str) -> Option<&str> {
    let ends = text.bytes().rev().take_while(|byte| *byte == b':').count();
    let mut candidates = (0..=ends).map(|cut| &text[..text.len() - cut]);
    candidates.find(|candidate| is_address_of_six(candidate))
}

/// Accounts alone: twelve digits, neither more nor fewer.
fn accounts(text: &str, tokens: &Tokens) -> String {
    static DIGITS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\d{12,}").expect("it is a fixed pattern"));
    let replaced = DIGITS.replace_all(text, |found: &Captures<'_>| match is_account(&found[0]) {
        true => tokens.of(Kind::Account, &found[0]),
        false => found[0].to_owned(),
    });
    replaced.into_owned()
}
