// Broken files, and broken sections of the process as a whole: every problem of each, with its exact place.
// The samples are what people really write: other systems' habits, forgotten units, missing quotes. A case
// says what each problem's description starts with, and fragments of the rest.

import ConfigSamples
import Testing

@testable import Config

/// Files that are wrong before or outside of any model.
private let brokenFiles: [Broken] = [
    Broken(
        .file(""),
        ["1:1: the file is empty", "expected a config"]),
    Broken(
        .file("# nothing\n"),
        ["1:1: the file is empty", "expected a config"]),
    Broken(
        .file("~"),
        ["1:1: has no value", "expected a mapping with listeners and models"]),
    Broken(
        .file(
            """
            - a
            - b
            """),
        ["1:1: is a list", "expected a mapping with listeners and models"]),
    Broken(
        .file(
            """
            listeners:
            \t- listen: a
            """),
        [
            "2:1: not valid YAML: while scanning for the next token, found character that",
            "expected spaces; YAML does not take tabs for",
        ]),
    Broken(
        .file("listeners: [\n"),
        ["2:1: not valid YAML: while parsing a flow node, did not find expected node content"]),
    Broken(
        .file("a: %x\n"),
        [
            "1:4: not valid YAML: while scanning for the next token, found character that",
            "expected the value in quotes, because this",
        ]),
    Broken(
        .file("listeners: *nowhere\n"),
        ["1:12: not valid YAML: found undefined alias"]),
    Broken(
        .file(
            """
            a: 1
            ---
            b: 2
            """),
        ["2:1: not valid YAML: expected a single document in the stream that starts in"]),
    Broken(
        .file(
            """
            listeners: {}
            models: {}
            """),
        ["1:12: listeners: is empty", "expected a list, each item a mapping with listen"],
        ["2:9: models: is empty", "expected a list, each item a model: a mapping"]),
    Broken(
        .file(
            """
            listeners: []
            models: []
            """),
        ["1:12: listeners: is empty", "expected at least 1"],
        ["2:9: models: is empty", "expected at least 1"]),
    Broken(
        .file(
            """
            models: [{ name: m, versions: { v1: { endpoints: [127.0.0.1:9001] } } }]
            """),
        ["1:1: lacks 'listeners'", "expected a list, each item a mapping with listen"]),
    Broken(
        .top("admin: { listen: 0.0.0.0:9902 }"),
        [
            "1:18: admin.listen: the admin API takes verbs without a password, and this",
            "expected a loopback address such as",
        ]),
    Broken(
        .top("admin: { listen: 10.1.2.3:9902 }"),
        [
            "1:18: admin.listen: the admin API takes verbs without a password, and this",
            "expected a loopback address such as",
        ]),
    Broken(
        .top("admin: 127.0.0.1:9902"),
        ["1:8: admin: wrong value '127.0.0.1:9902'", "expected a mapping with listen"]),
    Broken(
        .top("admin: {}"),
        ["1:8: admin: lacks 'listen'", "expected an address: host:port, [IPv6]:port or"]),
    Broken(
        .top("admin: { listen: 127.0.0.1:8080 }"),
        [
            "2:23: listeners[0].listen: the admin API listens on this address: '127.0.0.1:8080'",
            "expected an address of its own",
        ]),
    Broken(
        .top("admin: { listen: 127.0.0.1 }"),
        ["1:18: admin.listen: wrong value '127.0.0.1'", "expected an address: host:port, [IPv6]:port or"]),
    Broken(
        .top("admin: { listen: \"[::1]:65536\" }"),
        [
            "1:18: admin.listen: wrong value '[::1]:65536'",
            "expected an address: host:port, [IPv6]:port or",
        ]),
    Broken(
        .top("admin: { listen: unix:relative.sock }"),
        [
            "1:18: admin.listen: wrong value 'unix:relative.sock'",
            "expected unix: and an absolute path of at most",
        ]),
    Broken(
        .top("admin: { listn: 127.0.0.1:1 }"),
        ["1:10: admin: unknown key 'listn'", "expected one of listen", "did you mean 'listen'?"]),
    Broken(
        .top("state_dirr: /tmp"),
        [
            "1:1: unknown key 'state_dirr'",
            "expected one of admin, state_dir, listeners,",
            "did you mean 'state_dir'?",
        ]),
    Broken(
        .top("state_dir: [a]"),
        ["1:12: state_dir: is a list", "expected the path of a folder"]),
    Broken(
        .top("state_dir:"),
        ["1:11: state_dir: has no value", "expected the path of a folder"]),
    Broken(
        .top("cores: 0"),
        ["1:8: cores: wrong value '0'", "expected a whole number from 1 to 256"]),
    Broken(
        .top("cores: four"),
        ["1:8: cores: wrong value 'four'", "expected a whole number from 1 to 256"]),
    Broken(
        .top("cores: 1.5"),
        ["1:8: cores: wrong value '1.5'", "expected a whole number from 1 to 256"]),
    Broken(
        .top("limits: { downstreams: 5 }"),
        [
            "1:11: limits: unknown key 'downstreams'",
            "expected one of downstreams_max, upstreams_max,",
            "did you mean 'downstreams_max'?",
        ]),
    Broken(
        .top("limits: { downstreams_max: -1 }"),
        ["1:28: limits.downstreams_max: wrong value '-1'", "expected a whole number from 1 to 1000000"]),
    Broken(
        .top("limits: { replay_bytes_max: 64KB }"),
        [
            "1:29: limits.replay_bytes_max: wrong value '64KB'",
            "expected a size such as 64KiB or 1MiB, from 0B",
            "did you mean '64KiB'?",
        ]),
    Broken(
        .top("limits: { replay_bytes_max: 65536 }"),
        [
            "1:29: limits.replay_bytes_max: wrong value '65536'",
            "expected a size such as 64KiB or 1MiB, from 0B",
            "did you mean '65536B'?",
        ]),
    Broken(
        .top("journal: { rotate_bytes: 64KiB, rotate_age: 5m }"),
        [
            "1:26: journal.rotate_bytes: wrong value '64KiB'",
            "expected a size such as 1MiB or 64MiB, from 1MiB to 1GiB",
        ],
        [
            "1:45: journal.rotate_age: wrong value '5m'",
            "expected a duration such as 2h, from 1h to",
        ]),
    Broken(
        .top("limits: { response_head_bytes_max: 512B }"),
        [
            "1:36: limits.response_head_bytes_max: wrong value '512B'",
            "expected a size such as 64KiB or 1MiB, from 1KiB to 1MiB",
        ]),
    Broken(
        .top("limits: { response_fields_max: 5000 }"),
        ["1:32: limits.response_fields_max: wrong value '5000'", "expected a whole number from 16 to 4096"]),
    Broken(
        .top("limits: { request_head_bytes_max: 8KiB, request_line_bytes_max: 16KiB }"),
        [
            "1:65: limits.request_line_bytes_max: is longer than request_head_bytes_max: '16KiB'",
            "expected at most 8KiB",
        ]),
    Broken(
        .top("trusted_proxies: [10.0.0.1/8]"),
        [
            "1:19: trusted_proxies[0]: wrong value '10.0.0.1/8'",
            "expected no bits behind the prefix",
            "did you mean '10.0.0.0/8'?",
        ]),
    Broken(
        .top("trusted_proxies: [10.0.0.0/33]"),
        ["1:19: trusted_proxies[0]: wrong value '10.0.0.0/33'", "expected an address or a block such as"]),
    Broken(
        .top("trusted_proxies: [localhost]"),
        ["1:19: trusted_proxies[0]: wrong value 'localhost'", "expected an address or a block such as"]),
    Broken(
        .top("trusted_proxies: 10.0.0.0/8"),
        ["1:18: trusted_proxies: wrong value '10.0.0.0/8'", "expected a list, each item an address or a"]),
    Broken(
        .top("trusted_proxies: [\"fd00::1/8\"]"),
        [
            "1:19: trusted_proxies[0]: wrong value 'fd00::1/8'",
            "expected no bits behind the prefix",
            "did you mean 'fd00::/8'?",
        ]),
    Broken(
        .top("access_log: { sample: 5% }"),
        ["1:13: access_log: lacks 'path'", "expected the path of a file, or - for standard"]),
    Broken(
        .top("access_log: { path: a, sample: 0.00001% }"),
        [
            "1:32: access_log.sample: wrong value '0.00001%'",
            "expected a percentage such as 5% or 0.1%, from",
        ]),
    Broken(
        .top("access_log: { path: a, sample: 5 }"),
        [
            "1:32: access_log.sample: wrong value '5'",
            "expected a percentage such as 5% or 0.1%, from",
            "did you mean '5%'?",
        ]),
    Broken(
        .top("drain: { delay: 30s }"),
        [
            "1:8: drain: delay 30s leaves no time before the deadline: '25s'",
            "expected a deadline longer than the delay; both count from the signal",
        ]),
    Broken(
        .top("state_dir: /a\nstate_dir: /b"),
        ["2:1: duplicate key 'state_dir'", "expected it once; it stands first in line 1"]),
    Broken(
        .top(
            """
            "state_dir": /a
            state_dir: /b
            state_dir: /c
            """),
        ["2:1: duplicate key 'state_dir'", "expected it once; it stands first in line 1"],
        ["3:1: duplicate key 'state_dir'", "expected it once; it stands first in line 1"]),
    Broken(
        .top(
            """
            state_dir: /a
            ? [a, b]
            : 1
            """),
        ["2:3: a key is a list or a mapping", "expected a word"]),
    Broken(
        .file(
            """
            listeners: [{ listen: 127.0.0.1:80 }, { listen: 127.0.0.1:80 }]
            models: [{ name: m, versions: { v1: { endpoints: [127.0.0.1:9001] } } }]
            """),
        [
            "1:49: listeners[1].listen: another listener has this address: '127.0.0.1:80'",
            "expected each address once",
        ]),
    Broken(
        .file(
            """
            listeners: [{ listen: 80 }]
            models: [{ name: m, versions: { v1: { endpoints: [127.0.0.1:9001] } } }]
            """),
        [
            "1:23: listeners[0].listen: wrong value '80'",
            "expected an address: host:port, [IPv6]:port or",
            "did you mean '0.0.0.0:80'?",
        ]),
    Broken(
        .file("listeners: [{ listen: [::1]:80 }]\n"),
        [
            "1:24: not valid YAML: while parsing a flow node, did not find expected node content",
            "expected an IPv6 address in quotes, as",
        ]),
    Broken(
        .file(
            """
            listeners:
              - 127.0.0.1:80
            models: [{ name: m, versions: { v1: { endpoints: [127.0.0.1:9001] } } }]
            """),
        ["2:5: listeners[0]: wrong value '127.0.0.1:80'", "expected a mapping with listen"]),
    Broken(
        .file(
            """
            listeners: [{ listen: 127.0.0.1:80 }]
            models:
              - versions: { v1: { endpoints: [127.0.0.1:9001] } }
            """),
        ["3:5: models[0]: lacks 'name'", "expected a name of letters, digits and . _ - +"]),
    Broken(
        .file(
            """
            listeners: [{ listen: 127.0.0.1:80 }]
            models:
              - name: a b
                versions: { v1: { endpoints: [127.0.0.1:9001] } }
            """),
        ["3:11: models[0].name: wrong value 'a b'", "expected a name of letters, digits and . _ - +"]),
    Broken(
        .file(
            """
            listeners: [{ listen: 127.0.0.1:80 }]
            models:
              - { name: a, match: { path: /a }, versions: { v1: { endpoints: [127.0.0.1:9001] } } }
              - { name: a, match: { path: /a }, versions: { v1: { endpoints: [127.0.0.1:9001] } } }
            """),
        [
            "4:13: models[1].name: another model has the name 'a'",
            "expected each name once; it stands first in",
        ],
        [
            "4:23: models[1].match: model a takes the same requests (any host, path /a)",
            "expected a match of its own for every model",
        ]),
    Broken(
        .file(
            """
            listeners: [{ listen: 127.0.0.1:80 }]
            models:
              - { name: a, versions: { v1: { endpoints: [127.0.0.1:9001] } } }
              - { name: b, match: { path_prefix: / }, versions: { v1: { endpoints: [127.0.0.1:9001] } } }
            """),
        [
            "4:23: models[1].match: model a takes the same requests (any host, path_prefix /)",
            "expected a match of its own for every model",
        ]),
    Broken(
        .file(
            """
            listeners: [{ listen: 127.0.0.1:80 }]
            models:
              - { name: a, versions: {} }
            """),
        ["3:26: models[0].versions: is empty", "expected a mapping from version name to its"]),
    Broken(
        .file(
            """
            listeners: [{ listen: 127.0.0.1:80 }]
            models:
              - { name: a, versions: { v1: { endpoints: [] } } }
            """),
        ["3:45: models[0].versions.v1.endpoints: is empty", "expected at least 1"]),
    Broken(
        .file(
            """
            listeners: [{ listen: 127.0.0.1:80 }]
            models:
              - name: a
                versions: { v1: { endpoints: [127.0.0.1:9001] }, v2: { endpoints: [127.0.0.1:9001] } }
            """),
        ["3:5: models[0]: lacks 'stable'", "expected the name of the version to fall back to"]),
    Broken(
        .file(
            """
            listeners: [{ listen: 127.0.0.1:80 }]
            models:
              - name: a
                versions: { v1: { endpoints: [127.0.0.1:9001] } }
                stable: v2
            """),
        ["5:13: models[0].stable: unknown version 'v2'", "expected one of v1", "did you mean 'v1'?"]),
    Broken(
        .file(
            """
            listeners: [{ listen: 127.0.0.1:80 }]
            models:
              - name: a
                versions: [v1]
                stable: v1
            """),
        ["4:15: models[0].versions: is a list", "expected a mapping from version name to its"]),
    Broken(
        .top("limits: { blocks_max: 64, replay_bytes_max: 2MiB }"),
        [
            "1:9: limits: replay_bytes_max is larger than the 64 blocks of blocks_max",
            "expected at most 1MiB",
        ]),
    Broken(
        .top(
            """
            admin:
              <<: 5
              listen: 127.0.0.1:9902
            """),
        ["2:3: admin: '<<' merges what is not a mapping", "expected an alias of a mapping"]),
    Broken(
        .top(
            """
            cores: &c 4
            state_dir: *c
            workers: *c
            """),
        [
            "3:1: unknown key 'workers'",
            "expected one of admin, state_dir, listeners,",
            "did you mean 'cores'?",
        ]),
    Broken(
        .top("outcomes: { window: 1h }"), ["1:1: unknown key 'outcomes'", "did you mean 'feedback'?"]),
    Broken(
        .file(
            """
            listeners: [{ listen: 0.0.0.0:8080 }]
            models:
              - name: m
                versions: { v1: { endpoints: [127.0.0.1:8080] } }
            """),
        [
            "4:17: models[0].versions.v1.endpoints: Weir itself listens on '127.0.0.1:8080'",
            "expected the address of a model server",
        ]),
    Broken(
        .file(
            """
            listeners: [{ listen: 127.0.0.1:8080 }]
            models:
              - name: m
                versions: { v1: { endpoints: [127.0.0.1:9902] } }
            """),
        [
            "4:17: models[0].versions.v1.endpoints: Weir itself listens on '127.0.0.1:9902'",
            "expected the address of a model server",
        ]),
]

@Test(
    "A broken file gives exactly these problems, each with its place and what was expected",
    arguments: brokenFiles)
private func brokenFile(_ broken: Broken) { broken.check() }
