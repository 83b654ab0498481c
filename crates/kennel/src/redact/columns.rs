//! What columns hold, by where their values come from, and their values replaced. Columns that are not known hold names:
//! a column that k9 or AWS adds tomorrow is redacted until somebody lists it here.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, LazyLock},
};

use datafusion::arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, GenericBinaryArray, GenericListArray,
        GenericStringArray, GenericStringBuilder, MapArray, OffsetSizeTrait, StringViewArray,
        StructArray,
    },
    compute::{cast, nullif},
    datatypes::{DataType, Field, FieldRef, Fields, Float64Type},
    error::ArrowError,
};
use kennel_engine::Origins;

use super::{
    json, pattern,
    token::{Kind, Tokens},
};

/// Words that are looked up.
pub(super) type Words = LazyLock<HashSet<&'static str>>;

/// The words of a text.
pub(super) fn words(text: &'static str) -> HashSet<&'static str> {
    text.split_ascii_whitespace().collect()
}

/// Columns of tables whose texts are the same in every company: services, capabilities, states, kinds. Without `_`.
static OPEN_COLUMNS: Words = LazyLock::new(|| {
    words(
        "\
    csp analysistime principaltype principalisiamadmin resourcetype principaltagenvironment \
    resourcetagenvironment resourcetagconfidentiality resourcetagintegrity resourcetagavailability \
    servicename accesscapability passwordstate accesskey1state accesskey2state eventversion \
    eventtime eventsource eventname awsregion region errorcode requestid eventid readonly eventtype \
    apiversion sharedeventid eventcategory managementevent service mfaauthenticated tlsversion \
    invokedby year month day timestamp recordid recordindex iserror isdenied isduplicate \
    sessioncredentialfromconsole snapshotid takenat kind reporttype csvkind complete stage etag \
    sha256 verifiedby assigneetype title severity paramtype tablecatalog tableschema tablename \
    tabletype columnname datatype isnullable ordinalposition",
    )
});

/// Ends of names of columns that hold times and numbers.
const OPEN_ENDINGS: &[&str] = &[
    "_at", "_time", "_count", "_days", "_bytes", "_used", "_rotated", "_index", "_version",
    "_since",
];

/// Columns that hold records and parameters as AWS defines them, and tags: their keys say what their values are.
static RECORDS: Words = LazyLock::new(|| {
    words(
        "\
    useridentity requestparameters responseelements additionaleventdata resources \
    serviceeventdetails addendum edgedevicedetails tlsdetails insightdetails eventcontext extra \
    principaltags resourcetags",
    )
});

/// Keys of records, parameters, policies and tags whose texts are the same in every company. Without `_` and `-`.
static OPEN_KEYS: Words = LazyLock::new(|| {
    words(
        "\
    accesscapability accountclass action actions algorithm apiversion assumedroot \
    authenticationmethod availability awsregion ciphersuite confidentiality creationdate datakeyspec \
    effect ec2roledelivery encryptionalgorithm engine environment errorcode eventcategory eventname \
    eventsource eventtype eventversion expiration grantoperations instancetype insighttype integrity \
    invokedby keyexchange keyspec keyusage locationconstraint messagetype mfaauthenticated mfaused \
    mobileversion notaction operation operations policytype principaltype readonly region \
    resourcetype runtime service servicename signatureversion signinresult consolelogin \
    signingalgorithm state status storageclass tlsversion type updatedfields version \
    xamzserversideencryption sseapplied",
    )
});

/// Keys whose values are secrets: nothing of them stays, not even a token. Without `_` and `-`.
static SECRET_KEYS: Words = LazyLock::new(|| {
    words(
        "\
    accesstoken authorization authparameters bearertoken clientsecret idtoken masteruserpassword \
    newpassword oldpassword passphrase password plaintext plaintextkey privatekey \
    privatekeyplaintext refreshtoken samlassertion secret secretaccesskey secretbinary secretkey \
    secretstring securitytoken sessiontoken signintoken tokencode userdata webidentitytoken \
    xamzcredential xamzsecuritytoken xamzsignature",
    )
});

/// Results may call a column so although a literal stands in it, or a statement made it.
static NAMED_RESULTS: Words = LazyLock::new(|| {
    words(
        "\
    account accountid accounts accesskeyid arn bucket bucketname createtabstmt customerid email \
    principal principalaccountid principalarn principalid principalname recipientaccountid \
    resourcearn resourcename rolearn rolename sessionname sourceidentity sourceipaddress suppression \
    suppressionowner suppressionreason expiredsuppression useragent username",
    )
});

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Texts of everybody: what has the form of an account, an ARN, an address or a key is replaced.
    Open,
    /// Records of AWS: as [`Class::Named`], but for what stands below harmless keys.
    Record,
    /// Programs of users.
    Agent,
    /// Sentences of AWS, with names in them.
    Message,
    /// Names of any kind: each text becomes a token.
    Named,
}

/// What a column of a result holds, by what its values are made from, and by its name.
pub(super) fn class_of(name: &str, origins: &Origins) -> Class {
    let by_name = match NAMED_RESULTS.contains(folded(name).as_str()) {
        true => Class::Named,
        false => Class::Open,
    };
    let classes = origins.iter().map(|origin| class_of_origin(origin));
    let mut classes = classes.collect::<Vec<_>>();
    classes.sort_unstable();
    classes.dedup();
    classes.retain(|class| *class != Class::Open);
    let by_origin = match classes.as_slice() {
        [] => Class::Open,
        [only] => *only,
        _ => Class::Named,
    };
    match (by_name, by_origin) {
        (Class::Named, Class::Open) => Class::Named,
        (_, class) => class,
    }
}

fn class_of_origin(origin: &str) -> Class {
    let mut path = origin.split('.');
    let column = path.next().unwrap_or_default();
    let name = folded(column);
    if RECORDS.contains(name.as_str()) {
        return match path.next_back() {
            Some(field) if is_open_key(field) => Class::Open,
            _ => Class::Record,
        };
    }
    let is_open = OPEN_COLUMNS.contains(name.as_str())
        || OPEN_ENDINGS.iter().any(|ending| column.ends_with(ending));
    match name.as_str() {
        _ if is_open => Class::Open,
        "useragent" => Class::Agent,
        "errormessage" => Class::Message,
        _ => Class::Named,
    }
}

/// In lower case, without what names are joined with.
fn folded(name: &str) -> String {
    let letters = name.chars().filter(|c| !matches!(c, '_' | '-' | ' '));
    letters.flat_map(char::to_lowercase).collect()
}

pub(super) fn is_open_key(key: &str) -> bool {
    OPEN_KEYS.contains(folded(key).as_str())
}

pub(super) fn is_secret_key(key: &str) -> bool {
    SECRET_KEYS.contains(folded(key).as_str())
}

/// A text of a column of this class.
pub(super) fn redact_text(text: &str, class: Class, tokens: &Tokens) -> String {
    match class {
        Class::Open => pattern::redact(text, tokens),
        Class::Named | Class::Record if json::is_json(text) => {
            json::redact(text, class == Class::Record, tokens)
        }
        Class::Agent => match tokens.of_value(text) {
            token if token.starts_with("name-") => tokens.of(Kind::Agent, text),
            other => other,
        },
        Class::Message => match is_refusal(text) {
            true => pattern::redact(text, tokens),
            false if text.is_empty() => String::new(),
            false => tokens.of(Kind::Text, text),
        },
        Class::Named | Class::Record => tokens.of_value(text),
    }
}

/// `User: arn:… is not authorized to perform: s3:GetObject on resource: "arn:…" because …`: names stand in ARNs alone.
fn is_refusal(text: &str) -> bool {
    let Some((who, what)) = text.split_once(" is not authorized to perform: ") else {
        return false;
    };
    let who = who.strip_prefix("User: ").unwrap_or(who);
    let (action, rest) = what.split_once(' ').unwrap_or((what, ""));
    let is_action = action
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '*'));
    let Some(rest) = rest
        .strip_prefix("on resource: ")
        .or((rest.is_empty()).then_some(""))
    else {
        return false;
    };
    let (resource, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let is_named_by_arn = |text: &str| {
        let text = text.trim_matches('"');
        text.is_empty()
            || text == "*"
            || (text.starts_with("arn:") && !text.contains(char::is_whitespace))
    };
    is_action && is_named_by_arn(who) && is_named_by_arn(resource) && is_reason(reason, action)
}

/// The end of AWS's sentence: small words, the action, and the ARN of a policy at most.
fn is_reason(text: &str, action: &str) -> bool {
    text.split(' ').all(|word| {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        bare == action || bare.starts_with("arn:") || REASON_WORDS.contains(bare)
    })
}

static REASON_WORDS: Words = LazyLock::new(|| {
    words(
        "\
    a action an allows because boundary control deny endpoint explicit identity-based in no \
    permissions policy resource resource-based service session the VPC with",
    )
});

/// The values of a column, replaced; the type stays.
///
/// # Errors
/// For a type in which texts cannot be found.
pub(super) fn redact_array(
    array: &ArrayRef,
    class: Class,
    tokens: &Tokens,
) -> Result<ArrayRef, ArrowError> {
    Ok(match array.data_type() {
        DataType::Utf8 => texts(array.as_string::<i32>(), class, tokens),
        DataType::LargeUtf8 => texts(array.as_string::<i64>(), class, tokens),
        DataType::Utf8View => {
            let texts = array.as_string_view().iter();
            let texts = texts.map(|text| text.map(|text| redact_text(text, class, tokens)));
            Arc::new(texts.collect::<StringViewArray>())
        }
        DataType::Binary => bytes(array.as_binary::<i32>(), tokens),
        DataType::LargeBinary => bytes(array.as_binary::<i64>(), tokens),
        DataType::List(field) => list(array.as_list::<i32>(), field, class, tokens)?,
        DataType::LargeList(field) => list(array.as_list::<i64>(), field, class, tokens)?,
        DataType::Struct(_) => Arc::new(structs(array.as_struct(), class, tokens)?),
        DataType::Map(field, sorted) => map(array.as_map(), field, *sorted, class, tokens)?,
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            dictionary.with_values(redact_array(dictionary.values(), class, tokens)?)
        }
        data_type if data_type.is_numeric() => numbers(array, class)?,
        data_type if data_type.is_temporal() => Arc::clone(array),
        DataType::Null | DataType::Boolean => Arc::clone(array),
        other => {
            let message = format!("values of the type {other} cannot be redacted");
            return Err(ArrowError::NotYetImplemented(message));
        }
    })
}

fn texts<O: OffsetSizeTrait>(
    array: &GenericStringArray<O>,
    class: Class,
    tokens: &Tokens,
) -> ArrayRef {
    // Most values stand in many rows.
    let mut known = HashMap::<&str, String>::new();
    let mut builder = GenericStringBuilder::<O>::with_capacity(array.len(), 24 * array.len());
    for text in array.iter() {
        let redacted = text.map(|text| {
            let token = known.entry(text);
            token.or_insert_with(|| redact_text(text, class, tokens)) as &String
        });
        builder.append_option(redacted);
    }
    Arc::new(builder.finish())
}

/// Bytes can be anything, a text in another coding too.
fn bytes<O: OffsetSizeTrait>(array: &GenericBinaryArray<O>, tokens: &Tokens) -> ArrayRef {
    let values = array.iter();
    let values = values.map(|value| value.map(|value| tokens.compute(Kind::Binary, value)));
    Arc::new(values.collect::<GenericBinaryArray<O>>())
}

/// Numbers that are made from names and have as many digits as an account are nulls.
fn numbers(array: &ArrayRef, class: Class) -> Result<ArrayRef, ArrowError> {
    if class == Class::Open {
        return Ok(Arc::clone(array));
    }
    let values = cast(array, &DataType::Float64)?;
    let is_account = values
        .as_primitive::<Float64Type>()
        .iter()
        .map(|value| value.map(|value| (1e8..1e12).contains(&value.abs())));
    nullif(array, &is_account.collect::<BooleanArray>())
}

fn list<O: OffsetSizeTrait>(
    array: &GenericListArray<O>,
    field: &FieldRef,
    class: Class,
    tokens: &Tokens,
) -> Result<ArrayRef, ArrowError> {
    let values = redact_array(array.values(), class, tokens)?;
    let field = Field::clone(field).with_data_type(values.data_type().clone());
    Ok(Arc::new(GenericListArray::<O>::try_new(
        nullable(&Arc::new(field)),
        array.offsets().clone(),
        values,
        array.nulls().cloned(),
    )?))
}

fn structs(array: &StructArray, class: Class, tokens: &Tokens) -> Result<StructArray, ArrowError> {
    let fields = array.fields().iter();
    let columns = fields
        .zip(array.columns())
        .map(|(field, column)| redact_array(column, class_of_field(field.name(), class), tokens));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let fields = array.fields().iter().zip(&columns).map(|(field, column)| {
        let field = Field::clone(field).with_data_type(column.data_type().clone());
        Arc::new(field.with_nullable(true))
    });
    StructArray::try_new(fields.collect(), columns, array.nulls().cloned())
}

/// What a field of a record holds.
fn class_of_field(name: &str, class: Class) -> Class {
    match class {
        Class::Record if is_open_key(name) => Class::Open,
        other => other,
    }
}

fn map(
    array: &MapArray,
    field: &FieldRef,
    sorted: bool,
    class: Class,
    tokens: &Tokens,
) -> Result<ArrayRef, ArrowError> {
    let entries = array.entries();
    let of_keys = if class == Class::Record {
        Class::Open
    } else {
        class
    };
    let keys = redact_array(entries.column(0), of_keys, tokens)?;
    let values = match (class, values_by_key(entries)) {
        // Each value as its key has it.
        (Class::Record, Some((names, values))) => {
            let texts = names.iter().zip(values.iter()).map(|(name, value)| {
                let class = class_of_field(name.unwrap_or_default(), class);
                let is_secret = name.is_some_and(is_secret_key);
                value.map(|value| match is_secret {
                    true => super::REMOVED.to_owned(),
                    false => redact_text(value, class, tokens),
                })
            });
            Arc::new(texts.collect::<GenericStringArray<i32>>())
        }
        _ => redact_array(entries.column(1), class, tokens)?,
    };
    let fields = Fields::from(vec![
        Arc::clone(&entries.fields()[0]),
        nullable(&entries.fields()[1]),
    ]);
    let entries = StructArray::try_new(fields, vec![keys, values], entries.nulls().cloned())?;
    let field = Field::clone(field).with_data_type(entries.data_type().clone());
    Ok(Arc::new(MapArray::try_new(
        Arc::new(field),
        array.offsets().clone(),
        entries,
        array.nulls().cloned(),
        sorted,
    )?))
}

/// Names and values of a map, where both are texts.
fn values_by_key(
    entries: &StructArray,
) -> Option<(&GenericStringArray<i32>, &GenericStringArray<i32>)> {
    let names = entries.column(0).as_string_opt::<i32>()?;
    Some((names, entries.column(1).as_string_opt::<i32>()?))
}

/// The field, null allowed: a number may become one.
pub(super) fn nullable(field: &FieldRef) -> FieldRef {
    Arc::new(Field::clone(field).with_nullable(true))
}
