//! Mirroring from one S3 server (SeaweedFS), with kennel, rclone and s5cmd in turn.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    Cli, Outcome,
    measure::{head, once, say, several},
};

const ENDPOINT: &str = "http://127.0.0.1:18333";
const ACCESS_KEY: &str = "AKIDTEST";
const SECRET_KEY: &str = "SECRETTEST";

/// The server; ended on drop.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself: there is nothing to do then.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn run(cli: &Cli, weed: &Path, rclone: &Path, s5cmd: &Path) -> Outcome {
    fs::create_dir_all(&cli.data)?;
    let data = fs::canonicalize(&cli.data)?;
    let _server = start(weed, &data)?;
    for (bucket, count, size) in [
        ("small", 5_000_u64, 10_000_usize),
        ("large", 20, 20_000_000),
    ] {
        let made = data.join(bucket);
        if !made.exists() {
            make_objects(&made, count, size)?;
        }
        upload(s5cmd, &made, bucket)?;
        let peers = Peers {
            cli,
            data: &data,
            bucket,
            rclone,
            s5cmd,
        };
        head(&format!("mirror/sync/{count}_x_{size}_bytes, cold"));
        peers.cold()?;
        head(&format!(
            "mirror/sync/{count}_x_{size}_bytes, nothing changed"
        ));
        peers.unchanged()?;
    }
    Ok(())
}

fn start(weed: &Path, data: &Path) -> Result<Server, Box<dyn std::error::Error>> {
    let folder = data.join("weed");
    fs::create_dir_all(&folder)?;
    let config = folder.join("s3.json");
    fs::write(
        &config,
        format!(
            r#"{{"identities":[{{"name":"t","credentials":[{{"accessKey":"{ACCESS_KEY}","secretKey":"{SECRET_KEY}"}}],"actions":["Admin","Read","Write","List","Tagging"]}}]}}"#
        ),
    )?;
    let child = Command::new(weed)
        .args([
            "-logtostderr",
            "server",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-master.port=19333",
        ])
        .args([
            "-volume.port=18080",
            "-filer.port=18888",
            "-s3",
            "-s3.port=18333",
            "-s3.port.iceberg=0",
        ])
        .args([
            "-s3.port.lance=0",
            "-master.telemetry=false",
            "-volume.max=0",
            // Each bucket takes volumes of its own: small ones, or a second bucket finds no room.
            "-master.volumeSizeLimitMB=1024",
        ])
        .arg(format!("-dir={}", folder.display()))
        .arg(format!("-s3.config={}", config.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot start {}: {error}", weed.display()))?;
    let server = Server(child);
    let started = Instant::now();
    while std::net::TcpStream::connect("127.0.0.1:18333").is_err() {
        if started.elapsed() > Duration::from_secs(60) {
            return Err("SeaweedFS did not answer within a minute".into());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    std::thread::sleep(Duration::from_secs(5));
    Ok(server)
}

/// Objects under report keys, of bytes that do not compress; Parquet's magic at both ends, since the mirror checks it.
fn make_objects(folder: &Path, count: u64, size: usize) -> std::io::Result<()> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for index in 0..count {
        let account = format!("{:012}", 100_000_000_000 + index);
        let path = folder.join(format!(
            "hive/parquet/ic/customer_id=C123456/csp=aws/account_id={account}"
        ));
        fs::create_dir_all(&path)?;
        let mut bytes = b"PAR1".to_vec();
        while bytes.len() < size - 8 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend(state.to_le_bytes());
        }
        bytes.truncate(size - 8);
        bytes.extend(16_u32.to_le_bytes());
        bytes.extend(b"PAR1");
        fs::write(path.join("identity-center.latest.parquet"), bytes)?;
    }
    Ok(())
}

fn upload(s5cmd: &Path, from: &Path, bucket: &str) -> Outcome {
    let s3 = |arguments: &[&str]| {
        let mut command = with_keys(Command::new(s5cmd));
        command.args(["--endpoint-url", ENDPOINT]).args(arguments);
        command
    };
    // The bucket may be there from an earlier run.
    let _ = once(&mut s3(&["mb", &format!("s3://{bucket}")]));
    let source = format!("{}/", from.display());
    once(&mut s3(&["sync", &source, &format!("s3://{bucket}/")]))?;
    Ok(())
}

fn with_keys(mut command: Command) -> Command {
    command
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_REGION", "us-east-1");
    command
}

struct Peers<'a> {
    cli: &'a Cli,
    data: &'a Path,
    bucket: &'a str,
    rclone: &'a Path,
    s5cmd: &'a Path,
}

impl Peers<'_> {
    fn kennel(&self) -> Command {
        let mut command = with_keys(Command::new(&self.cli.kennel));
        command
            .arg("--home")
            .arg(self.data.join("target-kennel"))
            .arg("--config")
            .arg(self.data.join("s3.toml"));
        // The objects are no readable reports: what is measured is the mirror, so the ingest may fail.
        command.args(["-q", "sync"]);
        command
    }

    fn write_config(&self) -> std::io::Result<()> {
        let text = format!(
            "[[source]]\nname = \"k9\"\nkind = \"k9\"\nurl = \"s3://{}\"\nendpoint_url = \"{ENDPOINT}\"\nregion = \"us-east-1\"\n",
            self.bucket
        );
        fs::write(self.data.join("s3.toml"), text)
    }

    fn rclone(&self) -> Command {
        let mut command = with_keys(Command::new(self.rclone));
        command
            .arg("sync")
            .arg(format!(
                ":s3,provider=SeaweedFS,env_auth=true,endpoint=\"{ENDPOINT}\":{}",
                self.bucket
            ))
            .arg(self.data.join("target-rclone"))
            .args([
                "--fast-list",
                "--use-server-modtime",
                "--transfers",
                "32",
                "--checkers",
                "32",
            ]);
        command
    }

    fn s5cmd(&self) -> Command {
        let mut command = with_keys(Command::new(self.s5cmd));
        command
            .args([
                "--endpoint-url",
                ENDPOINT,
                "sync",
                &format!("s3://{}/*", self.bucket),
            ])
            .arg(self.data.join("target-s5cmd/"));
        command
    }

    /// An empty folder for the next run. What was there is put aside, not deleted: ext4 without a journal looks for
    /// minutes at each inode that was freed, and whoever creates files in few folders pays for the deletion.
    fn empty(&self, name: &str) -> std::io::Result<()> {
        let folder = self.data.join(name);
        if folder.exists() {
            let aside = self.data.join("aside");
            fs::create_dir_all(&aside)?;
            let taken = fs::read_dir(&aside)?.count();
            fs::rename(&folder, aside.join(format!("{name}-{taken}")))?;
        }
        fs::create_dir_all(folder)
    }

    fn cold(&self) -> Outcome {
        self.write_config()?;
        let runs = self.cli.runs;
        let kennel = several(
            "kennel sync",
            runs,
            || self.empty("target-kennel"),
            || self.kennel(),
        )?;
        self.ratio(
            "rclone sync",
            several(
                "rclone sync",
                runs,
                || self.empty("target-rclone"),
                || self.rclone(),
            ),
            kennel,
        );
        self.ratio(
            "s5cmd sync",
            several(
                "s5cmd sync",
                runs,
                || self.empty("target-s5cmd"),
                || self.s5cmd(),
            ),
            kennel,
        );
        Ok(())
    }

    fn unchanged(&self) -> Outcome {
        let runs = self.cli.runs;
        let kennel = several("kennel sync", runs, || Ok(()), || self.kennel())?;
        self.ratio(
            "rclone sync",
            several("rclone sync", runs, || Ok(()), || self.rclone()),
            kennel,
        );
        self.ratio(
            "s5cmd sync",
            several("s5cmd sync", runs, || Ok(()), || self.s5cmd()),
            kennel,
        );
        Ok(())
    }

    fn ratio(
        &self,
        name: &str,
        peer: Result<crate::measure::Run, Box<dyn std::error::Error>>,
        kennel: crate::measure::Run,
    ) {
        match peer {
            Ok(peer) => say(&format!(
                "\nkennel / {name}: wall {:.2}, CPU {:.2}\n",
                kennel.wall.as_secs_f64() / peer.wall.as_secs_f64(),
                kennel.cpu.as_secs_f64() / peer.cpu.as_secs_f64()
            )),
            Err(error) => say(&format!("\n{name} left out: {error}\n")),
        }
    }
}
