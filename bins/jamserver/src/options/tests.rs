//! The same options through every door.

use super::*;
use crate::table::{DEMO, PLAN, SERVER};

fn line(text: &str) -> Result<Args, OptionError> {
    parse_args(SERVER, text.split_whitespace().map(str::to_owned))
}

fn values(text: &str) -> Values {
    match line(text) {
        Ok(Args::Run(values, _)) => values,
        other => panic!("{text}: {other:?}"),
    }
}

fn message(text: &str) -> String {
    match line(text) {
        Err(error) => error.to_string(),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn tables_hold_each_name_once_and_valid_defaults() {
    for table in [SERVER, DEMO, PLAN] {
        let mut names: Vec<String> = table.foreign.iter().map(|d| d.key.to_owned()).collect();
        names.extend(table.foreign.iter().filter_map(|d| d.short).map(String::from));
        for def in table.iter() {
            names.extend(std::iter::once(def.key).chain(def.aliases.iter().copied()).map(str::to_owned));
            names.extend(def.short.map(String::from));
            assert!(def.help.ends_with('.') && !def.group.is_empty(), "{}", def.key);
            if !def.default.is_empty() {
                assert!(def.kind.check(def.default).is_ok(), "{}", def.key);
            }
        }
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}

#[test]
fn the_command_line_reads_as_users_know_it() {
    // Arguments, key, value.
    for (text, key, value) in [
        ("-s -n -p 22125", "port", "22125"),
        ("--port 22125", "port", "22125"),
        ("--port=22125", "port", "22125"),
        ("-p=22125", "port", "22125"),
        ("-p 1 --port 2", "port", "2"),
        ("-u 150", "numchannels", "150"),
        ("-F -T", "fastupdate", "true"),
        ("-T", "multithreading", "true"),
        ("--fastupdate=false", "fastupdate", "false"),
        ("-d", "discononquit", "true"),
        ("-w hello", "welcomemessage", "hello"),
        ("-w=<b>hi</b>=x", "welcomemessage", "<b>hi</b>=x"),
        ("-L -P", "licence", "true"),
        ("-P", "delaypan", "true"),
        ("-l jam.log", "log", "jam.log"),
        ("-e localhost", "directoryaddress", "localhost"),
        ("--directoryserver h:1", "directoryaddress", "h:1"),
        ("--centralserver h:1", "directoryaddress", "h:1"),
        ("-o a;b;de", "serverinfo", "a;b;de"),
        ("--serverpublicip 192.0.2.1", "serverpublicip", "192.0.2.1"),
        ("--directoryfile f", "directoryfile", "f"),
        ("-f 192.0.2.1;[3.8.0]", "listfilter", "192.0.2.1;[3.8.0]"),
        ("--noraw", "noraw", "true"),
        ("-R takes --norecord", "recording", "takes"),
        ("--jsonrpcport 22222", "jsonrpcport", "22222"),
        ("-4", "jsonrpcbindip", "127.0.0.1"),
        ("--strictreplies", "strictreplies", "true"),
        ("--serverbindip 127.0.0.1", "serverbindip4", "127.0.0.1"),
        ("--serverbindip4 127.0.0.1", "serverbindip4", "127.0.0.1"),
        ("--serverbindip6 ::1", "serverbindip6", "::1"),
        ("--noipv6", "noipv6", "true"),
        ("-4", "noipv6", "true"),
        ("-6", "enableipv6", "true"),
        ("-Q 0", "qos", "0"),
        ("--threads auto", "threads", "auto"),
        ("--realtime off", "realtime", "off"),
        ("--deny 10.0.0.0/8,::1", "deny", "10.0.0.0/8,::1"),
    ] {
        assert_eq!(values(text).text(key).as_deref(), Some(value), "{text}");
    }
}

#[test]
fn mistakes_are_one_line_with_the_nearest_choice() {
    for (text, wanted) in [
        ("--prot 1", "--prot: unknown option, see --help (did you mean --port?)"),
        ("--numchanels 3", "--numchanels: unknown option, see --help (did you mean --numchannels?)"),
        ("--xyz", "--xyz: unknown option, see --help"),
        ("-p22124", "-p22124: unknown option, see --help (did you mean -p 22124?)"),
        ("-port 3", "-port: unknown option, see --help (did you mean --port?)"),
        ("server", "server: is not an option; options start with a dash, see --help"),
        ("-p 70000", "-p: 70000 is out of range: 0 to 65535 (did you mean 65535?)"),
        ("-u 0", "-u: 0 is out of range: 1 to 150 (did you mean 1?)"),
        ("-p x", "-p: \"x\" is not a number from 0 to 65535"),
        ("-p", "-p: needs a value: -p PORT"),
        ("-p -F", "-p: needs a value: -p PORT"),
        ("--realtime of", "--realtime: \"of\" is not a number from 1 to 99 or auto, off (did you mean off?)"),
        ("--fastupdate=maybe", "--fastupdate: \"maybe\" is neither true nor false"),
        ("-m /tmp", "-m: not supported by this version"),
        ("-c 127.0.0.1", "-c: this is an option of clients, and jamserver is a server only"),
        ("--serverbindip ::1", "--serverbindip: \"::1\" is not an IPv4 address such as 192.0.2.1"),
        ("-o a;b", "-o: \"a;b\" is not NAME;CITY;COUNTRY"),
        ("--deny 10.0.0.0/99", "--deny: \"10.0.0.0/99\" is not a network such as 192.0.2.0/24 or an address"),
    ] {
        assert_eq!(message(text), wanted, "{text}");
    }
}

#[test]
fn window_options_are_accepted_with_one_warning_each() {
    let Ok(Args::Run(values, warnings)) = line("-z -t -i jam.ini -p 4") else { panic!("refused") };
    assert_eq!(values.text("port").as_deref(), Some("4"));
    assert_eq!(warnings.len(), 3);
    assert!(warnings[2].starts_with("-i: "), "{warnings:?}");
}

#[test]
fn help_and_version_win_over_what_follows() {
    assert!(matches!(line("-p 4 --help --nonsense"), Ok(Args::Help)));
    assert!(matches!(line("-?"), Ok(Args::Help)));
    assert!(matches!(line("-v"), Ok(Args::Version)));
}

fn environment(pairs: &[(&str, &str)]) -> Result<(Values, Vec<String>), OptionError> {
    parse_env(SERVER, pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
}

#[test]
fn the_environment_has_a_name_for_every_option() {
    let (values, warnings) = environment(&[
        ("JAMSERVER_PORT", "4"),
        ("JAMSERVER_FASTUPDATE", "yes"),
        ("JAMSERVER_DELAYPAN", "0"),
        ("JAMSERVER_LOG", ""),
        ("PORT", "5"),
        ("JAMSERVER_PROT", "6"),
    ])
    .unwrap();
    assert_eq!(values.text("port").as_deref(), Some("4"));
    assert!(values.flag("fastupdate") && !values.flag("delaypan") && !values.is_given("log"));
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].starts_with("JAMSERVER_PROT: no option has this name"), "{warnings:?}");
    let error = environment(&[("JAMSERVER_PORT", "x")]).unwrap_err().to_string();
    assert_eq!(error, "JAMSERVER_PORT: \"x\" is not a number from 0 to 65535");
}

#[test]
fn the_file_is_toml_with_the_same_keys() {
    let text = "# jam\nport = 4\nfastupdate = true\ndeny = [\"10.0.0.0/8\", \"::1\"]\nthreads = \"auto\"\n";
    let (values, _) = parse_file(SERVER, "jam.toml", text).unwrap();
    assert_eq!(values.text("port").as_deref(), Some("4"));
    assert_eq!(values.text("deny").as_deref(), Some("10.0.0.0/8,::1"));
    assert_eq!(values.text("threads").as_deref(), Some("auto"));
    assert!(values.flag("fastupdate"));
}

#[test]
fn mistakes_in_the_file_have_a_line_and_a_column() {
    for (text, wanted) in [
        ("port = 4\n  prot = 5\n", "jam.toml:2:3: prot: unknown key (did you mean port?)"),
        ("port = 70000", "jam.toml:1:8: port: 70000 is out of range: 0 to 65535 (did you mean 65535?)"),
        ("port = \"4\"", "jam.toml:1:8: port: the value must be a number without quotes"),
        ("fastupdate = 1", "jam.toml:1:14: fastupdate: the value must be true or false"),
        ("log = 1", "jam.toml:1:7: log: the value must be a text in quotes"),
        ("\nhtmlstatus = \"x\"", "jam.toml:2:1: htmlstatus: not supported by this version"),
        ("deny = [1]", "jam.toml:1:8: deny: the value must be an array of texts in quotes"),
    ] {
        assert_eq!(parse_file(SERVER, "jam.toml", text).unwrap_err().to_string(), wanted, "{text}");
    }
    let syntax = parse_file(SERVER, "jam.toml", "port = 4\nlog = \n").unwrap_err().to_string();
    assert!(syntax.starts_with("jam.toml:2:"), "{syntax}");
    assert_eq!(syntax.lines().count(), 1, "{syntax}");
}

#[test]
fn the_stronger_source_wins() {
    let (mut all, _) = parse_file(SERVER, "jam.toml", "port = 1\nqos = 1\nnumchannels = 1").unwrap();
    all.overlay(environment(&[("JAMSERVER_PORT", "2"), ("JAMSERVER_QOS", "2")]).unwrap().0);
    all.overlay(values("-p 3"));
    let got: Vec<_> = ["port", "qos", "numchannels", "threads"].map(|key| all.text(key).unwrap()).into();
    assert_eq!(got, ["3", "2", "1", "auto"]);
    let origin = all.error("qos", "x").to_string();
    assert_eq!(origin, "JAMSERVER_QOS: x");
}

#[test]
fn the_help_names_every_option() {
    for table in [SERVER, DEMO, PLAN] {
        let help = render_help(table);
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
        for def in table.iter() {
            assert!(help.contains(&format!("--{}", def.key)), "{}", def.key);
        }
    }
}
