"""Reads what kennel writes, its answers and CloudTrail's table files, with readers that are not kennel's: csv, json and html
of Python's library, openpyxl, pyarrow, duckdb.

usage: readers.py KENNEL FOLDER
"""

import csv
import datetime
import gzip
import html.parser
import json
import pathlib
import subprocess
import sys

import duckdb
import openpyxl
import pyarrow.parquet

SQL = """
SELECT id, text, big, price, ratio, yes, at, CAST(at AS date) AS day, ARRAY[text, 'é'] AS list
FROM (VALUES
  (1, '=1+1', 9223372036854775807, CAST('12.50' AS decimal(5,2)), 0.5e0, true, TIMESTAMP '2026-03-02 04:10:00'),
  (2, 'a "b", c' || chr(10) || '<td>&', -1, CAST('-0.01' AS decimal(5,2)), 1e300, false, TIMESTAMP '2026-03-02 04:10:00.123456'),
  (3, '', NULL, NULL, NULL, NULL, NULL),
  (4, NULL, 0, CAST('99.99' AS decimal(5,2)), 0e0, true, TIMESTAMP '1970-01-01 00:00:00'),
  (5, '@東京 \u202e', 42, CAST('1.00' AS decimal(5,2)), -1.5e0, true, TIMESTAMP '1850-01-01 00:00:00')
) AS t (id, text, big, price, ratio, yes, at)
ORDER BY id
"""
TEXTS = ["=1+1", 'a "b", c\n<td>&', "", None, "@東京 \u202e"]
BIGS = [9223372036854775807, -1, None, 0, 42]


def kennel(program, *args):
    done = subprocess.run([program, *args], capture_output=True)
    assert done.returncode in (0, 3), (args, done.returncode, done.stderr.decode())
    return done.stdout


class Page(html.parser.HTMLParser):
    """The cells of the tables of rows; complains of what a page without network must not have."""

    EMPTY = {"meta", "rect", "br", "input"}

    def __init__(self, text):
        super().__init__()
        self.open, self.tables, self.cell, self.classes = [], [], None, None
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        assert tag not in {"link", "img", "iframe", "object", "base", "form"}, tag
        assert not {"src", "style"} & attributes.keys(), (tag, attributes)
        assert attributes.get("href", "#").startswith("#"), attributes
        assert not any(name.startswith("on") for name in attributes), attributes
        if tag not in self.EMPTY:
            self.open.append(tag)
        if tag == "table":
            self.classes = attributes.get("class")
            if self.classes == "data":
                self.tables.append([])
        elif tag == "tr" and self.classes == "data":
            self.tables[-1].append([])
        elif tag == "td" and self.classes == "data":
            self.cell = None if attributes.get("class") == "null" else ""
            self.tables[-1][-1].append(self.cell)

    def handle_endtag(self, tag):
        if tag not in self.EMPTY:
            assert self.open.pop() == tag, tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "td" and self.cell is not None:
            self.cell += data
            self.tables[-1][-1][-1] = self.cell


def main(program, folder):
    folder = pathlib.Path(folder)
    home = str(folder / "home")
    (folder / "q.sql").write_text(SQL, encoding="utf-8")
    files = {}
    for form in ["csv", "json", "jsonl", "markdown", "html", "xlsx", "parquet"]:
        files[form] = folder / f"result.{form}"
        kennel(program, "sql", str(folder / "q.sql"), "--home", home, "-f", form, "-o", str(files[form]))
        piped = kennel(program, "sql", str(folder / "q.sql"), "--home", home, "-f", form)
        assert piped == files[form].read_bytes(), f"{form}: piped and written differ"

    with open(files["csv"], newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["text"] for row in rows] == [text or "" for text in TEXTS], rows
    assert [row["big"] for row in rows] == ["" if big is None else str(big) for big in BIGS]
    assert rows[1]["at"] == "2026-03-02T04:10:00.123456Z" and json.loads(rows[0]["list"]) == ["=1+1", "é"]

    array = json.loads(files["json"].read_text(encoding="utf-8"))
    lines = [json.loads(line) for line in files["jsonl"].read_text(encoding="utf-8").splitlines()]
    assert array == lines
    assert [row["text"] for row in array] == TEXTS and [row["big"] for row in array] == BIGS

    table = pyarrow.parquet.read_table(files["parquet"])
    types = {field.name: str(field.type) for field in table.schema}
    assert table.column("text").to_pylist() == TEXTS and table.column("big").to_pylist() == BIGS
    assert types["big"] == "int64" and types["yes"] == "bool" and types["day"].startswith("date32"), types
    assert types["at"].startswith("timestamp") and types["price"].startswith("decimal"), types
    assert table.column("list").to_pylist()[0] == ["=1+1", "é"]
    found = duckdb.sql(f"SELECT text, big, list FROM read_parquet('{files['parquet']}') ORDER BY id").fetchall()
    assert [row[0] for row in found] == TEXTS and [row[1] for row in found] == BIGS, found

    book = openpyxl.load_workbook(files["xlsx"])
    assert book.sheetnames == ["result"], book.sheetnames
    sheet = book["result"]
    assert sheet.freeze_panes == "A2" and sheet.auto_filter.ref == "A1:I6", sheet.auto_filter.ref
    cells = [[cell for cell in row] for row in sheet.iter_rows(min_row=2)]
    text = [row[1] for row in cells]
    assert [cell.value for cell in text] == [text or None for text in TEXTS], [cell.value for cell in text]
    assert text[0].data_type == "s" and text[0].quotePrefix and text[4].quotePrefix
    assert not any(cell.data_type == "f" for row in cells for cell in row)
    assert [row[2].value for row in cells] == ["9223372036854775807", -1, None, 0, 42]
    assert cells[0][3].value == 12.5 and cells[0][5].value is True
    assert cells[0][6].value == datetime.datetime(2026, 3, 2, 4, 10), cells[0][6].value
    assert cells[0][6].number_format == 'yyyy-mm-dd"T"hh:mm:ss"Z"'
    assert cells[0][7].value == datetime.datetime(2026, 3, 2) and cells[4][6].value == "1850-01-01T00:00:00Z"

    page = Page(files["html"].read_text(encoding="utf-8"))
    rows = page.tables[0][1:]
    assert len(page.tables) == 1 and len(rows) == 5
    shown = [text and text.replace("\n", "\\n").replace("\u202e", "\\u{202e}") for text in TEXTS]
    assert [row[1] for row in rows] == shown, rows

    # Questions over the sample data: several results in one page and in one workbook.
    demo = str(folder / "demo")
    kennel(program, "demo", "--home", demo, "--progress", "never")
    ids = ["iam-admins", "stale-credentials", "over-accessible-resources"]
    counts = [len(kennel(program, "run", i, "--home", demo, "-f", "jsonl").splitlines()) for i in ids]
    kennel(program, "run", *ids, "--home", demo, "-f", "html", "-o", str(folder / "run.html"))
    page = Page((folder / "run.html").read_text(encoding="utf-8"))
    assert [len(table) - 1 for table in page.tables] == counts, counts
    kennel(program, "run", *ids, "--home", demo, "-f", "xlsx", "-o", str(folder / "run.xlsx"))
    book = openpyxl.load_workbook(folder / "run.xlsx")
    assert book.sheetnames[:3] == ["k9-" + i for i in ids], book.sheetnames
    assert [book[name].max_row - 1 for name in book.sheetnames[:3]] == counts
    assert book.sheetnames[3:] == ["warnings"], book.sheetnames
    for command in ["list", "status"]:
        count = len(kennel(program, command, "--home", demo, "-f", "jsonl").splitlines())
        kennel(program, command, "--home", demo, "-f", "parquet", "-o", str(folder / "c.parquet"))
        assert pyarrow.parquet.read_table(folder / "c.parquet").num_rows == count > 0
        rows = kennel(program, command, "--home", demo, "-f", "csv").decode().splitlines()
        assert len(list(csv.reader(rows))) == count + 1
    cloudtrail(program, folder)
    print("csv, json, jsonl, html, xlsx and parquet read back as they were meant, and CloudTrail's table files")


def record(number):
    """An event; every tenth is of a user without a session, and what is optional comes and goes."""
    event = {
        "eventVersion": "1.11",
        "userIdentity": {"type": "IAMUser", "arn": f"arn:aws:iam::123456789012:user/u{number % 7}", "userName": f"u{number % 7}"},
        "eventTime": f"2026-03-02T{number // 60 % 24:02}:{number % 60:02}:00Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": ["GetObject", "PutObject", "ListObjects"][number % 3],
        "awsRegion": "eu-west-1",
        "sourceIPAddress": f"203.0.113.{number % 250}",
        "requestParameters": {"bucketName": "b", "key": f"é/{number}", "size": 2**53 + number, "ratio": 0.5},
        "responseElements": None,
        "eventID": f"00000000-0000-4000-8000-{number:012}",
        "readOnly": number % 3 != 1,
        "resources": [{"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::b/{number}"}, {"type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::b"}],
        "eventType": "AwsApiCall",
        "recipientAccountId": "123456789012",
        "eventCategory": "Data",
    }
    if number % 10:
        event["userIdentity"] |= {
            "type": "AssumedRole",
            "sessionContext": {"attributes": {"mfaAuthenticated": "false"}, "sessionIssuer": {"arn": f"arn:aws:iam::123456789012:role/r{number % 3}"}},
        }
    if number % 4 == 0:
        event |= {"errorCode": "AccessDenied", "errorMessage": 'no "way"\n'}
    return event


def cloudtrail(program, folder):
    """Records in, Parquet out: what pyarrow and duckdb read in the cache's tables is what Python's json wrote."""
    count, files = 3000, 60
    events = [record(number) for number in range(count)]
    day = folder / "trail/AWSLogs/123456789012/CloudTrail/eu-west-1/2026/03/02"
    day.mkdir(parents=True)
    for number in range(files):
        name = f"123456789012_CloudTrail_eu-west-1_20260302T{number // 60:02}{number % 60:02}Z_{number:016}.json.gz"
        (day / name).write_bytes(gzip.compress(json.dumps({"Records": events[number::files]}).encode()))
    home = folder / "trail-home"
    config = folder / "trail.toml"
    config.write_text(f'[[source]]\nname = "trail"\nkind = "cloudtrail"\nurl = "file://{folder}/trail"\n')
    kennel(program, "sync", "--home", str(home), "--config", str(config), "--progress", "never")

    # All files there: what a compaction has replaced would be counted twice.
    paths = sorted(str(path) for path in home.glob("tables/cloudtrail/**/*.parquet"))
    rows = [row for path in paths for row in pyarrow.parquet.read_table(path).to_pylist()]
    rows.sort(key=lambda row: row["eventid"])
    assert len(rows) == count, len(rows)
    for event, row in zip(events, rows):
        identity = event["userIdentity"]
        found = row["useridentity"]
        issuer = (found["sessioncontext"] or {}).get("sessionissuer") or {}
        wanted = identity.get("sessionContext", {}).get("sessionIssuer", {})
        pairs = [
            (row["eventid"], event["eventID"]),
            (row["eventname"], event["eventName"]),
            (row["eventtime"], event["eventTime"]),
            (row["event_time"].strftime("%Y-%m-%dT%H:%M:%SZ"), event["eventTime"]),
            (row["sourceipaddress"], event["sourceIPAddress"]),
            (json.loads(row["requestparameters"]), event["requestParameters"]),
            (row["responseelements"], None),
            (row["readonly"], str(event["readOnly"]).lower()),
            (row["errorcode"], event.get("errorCode")),
            (row["errormessage"], event.get("errorMessage")),
            ([(one["arn"], one["type"]) for one in row["resources"]], [(one["ARN"], one["type"]) for one in event["resources"]]),
            ((found["type"], found["arn"], found["username"]), (identity["type"], identity["arn"], identity["userName"])),
            (issuer.get("arn"), wanted.get("arn")),
            ((row["region"], row["year"], row["month"], row["day"]), ("eu-west-1", "2026", "03", "02")),
        ]
        for got, meant in pairs:
            assert got == meant, (row["eventid"], got, meant)

    sql = """SELECT eventname, count(*) AS events, count(errorcode) AS errors, count(DISTINCT useridentity.arn) AS users,
        min(eventtime) AS first, count(resources[2].arn) AS buckets FROM {} GROUP BY eventname ORDER BY eventname"""
    read = duckdb.sql(sql.format(f"read_parquet({paths})")).fetchall()
    answer = kennel(program, "sql", "-c", sql.format("cloudtrail.cloudtrail_logs"), "--home", str(home), "-f", "json")
    answer = [list(row.values()) for row in json.loads(answer)]
    assert [list(row) for row in read] == answer, (read, answer)


main(*sys.argv[1:])
