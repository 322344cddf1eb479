// Broken models: names that do not exist, splits that do not add up, matches and conditions that cannot
// hold. Line 9 of the sample is the first that the case adds. Every case lists all of its problems, so that a
// mistake which is told twice fails as much as one that is not told.

import ConfigSamples
import Testing

@testable import Config

/// Models whose keys are wrong, or contradict each other.
private let brokenModels: [Broken] = [
    Broken(
        .model("match: { path_prefix: v2 }"),
        [
            "9:27: models[0].match.path_prefix: wrong value 'v2'",
            "expected a path that starts with / and has no",
            "did you mean '/v2'?",
        ]),
    Broken(
        .model("match: { path: /a, path_prefix: /b }"),
        ["9:12: models[0].match: has both path_prefix and path", "expected one of the two"]),
    Broken(
        .model("match: {}"),
        ["9:12: models[0].match: says nothing", "expected host, path_prefix or path"]),
    Broken(
        .model("match: { host: a..b }"),
        ["9:20: models[0].match.host: wrong value 'a..b'", "expected a host name without port"]),
    Broken(
        .model("match: { host: \"a:80\" }"),
        ["9:20: models[0].match.host: wrong value 'a:80'", "expected a host name without port"]),
    Broken(
        .model("match: { path: /a?b=1 }"),
        [
            "9:20: models[0].match.path: wrong value '/a?b=1'",
            "expected a path that starts with / and has no",
            "did you mean '/a'?",
        ]),
    Broken(
        .model("match: [{ path: /a }, { path: /a }]"),
        [
            "9:27: models[0].match[1]: model m takes the same requests (any host, path /a)",
            "expected a match of its own for every model",
        ]),
    Broken(
        .model("match: { port: 80 }"),
        ["9:14: models[0].match: unknown key 'port'", "expected one of host, path_prefix, path"]),
    Broken(
        .model("candidates: [v2]"),
        ["3:5: models[0]: has both candidate and candidates", "expected one of the two"],
        ["9:18: models[0].candidates[0]: is a candidate twice: 'v2'", "expected each version once"]),
    Broken(
        .model("weights: { v2: 101% }"),
        [
            "9:20: models[0].weights.v2: wrong value '101%'",
            "expected a percentage such as 5% or 0.1%, from",
        ]),
    Broken(
        .model("weights: { v2: 60%, v1: 60% }"),
        [
            "9:14: models[0].weights: the weights add up to 120%",
            "expected at most 100%; stable has what is left",
        ]),
    Broken(
        .model("weights: { v2: 60%, v1: 30% }"),
        [
            "9:14: models[0].weights: the weights add up to 90%",
            "expected 100% where stable is listed; without",
        ]),
    Broken(
        .model("weights: { v3: 10% }"),
        ["9:16: models[0].weights: unknown version 'v3'", "expected one of v1, v2", "did you mean 'v1'?"]),
    Broken(
        .model("weights: { v2: 10 }"),
        [
            "9:20: models[0].weights.v2: wrong value '10'",
            "expected a percentage such as 5% or 0.1%, from",
            "did you mean '10%'?",
        ]),
    Broken(
        .model("weights: 10%"),
        ["9:14: models[0].weights: wrong value '10%'", "expected a mapping from version to percentage"]),
    Broken(
        .model("weights: {}"),
        ["9:14: models[0].weights: is empty", "expected a mapping from version to percentage"]),
    Broken(
        .model("weight: { v2: 10% }"),
        [
            "9:5: models[0]: unknown key 'weight'",
            "expected one of name, match, versions, stable,",
            "did you mean 'weights'?",
        ]),
    Broken(
        .model("mirror: { version: v2 }"),
        [
            "9:5: models[0]: unknown key 'mirror'",
            "expected one of name, match, versions, stable,",
            "did you mean 'shadow'?",
        ]),
    Broken(
        .model("match: [{ host: a.example, path: /a }, { host: A.example, path: /a }]"),
        [
            "9:44: models[0].match[1]: model m takes the same requests (a.example, path /a)",
            "expected a match of its own for every model",
        ]),
    Broken(
        .model("match: []"),
        ["9:12: models[0].match: is empty", "expected at least 1"]),
    Broken(
        .model("weights: { v2: 10%, v2: 20% }"),
        ["9:25: models[0].weights: duplicate key 'v2'", "expected it once; it stands first in line 9"]),
    Broken(
        .model("cohorts: [{ name: a, when: { path: /x }, version: v9 }]"),
        [
            "9:55: models[0].cohorts[0].version: unknown version 'v9'",
            "expected one of v1, v2",
            "did you mean 'v1'?",
        ]),
    Broken(
        .model("cohorts: [{ name: a, when: {}, version: v2 }]"),
        [
            "9:32: models[0].cohorts[0].when: says nothing, and would hold for every request",
            "expected at least one condition",
        ]),
    Broken(
        .model("cohorts: [{ name: a, version: v2 }]"),
        ["9:15: models[0].cohorts[0]: lacks 'when'", "expected conditions: header, cookie, query,"]),
    Broken(
        .model(
            """
            cohorts:
              - { name: a, when: { path: /x }, version: v2 }
              - { name: a, when: { path: /y }, version: v2 }
            """),
        ["11:17: models[0].cohorts[1].name: another cohort has the name 'a'", "expected each name once"]),
    Broken(
        .model("cohorts: [{ name: a, when: { header: x-a }, version: v2 }]"),
        [
            "9:42: models[0].cohorts[0].when.header: wrong value 'x-a'",
            "expected a mapping from name to value",
        ]),
    Broken(
        .model("cohorts: [{ name: a, when: { header: { \"x a\": b } }, version: v2 }]"),
        ["9:44: models[0].cohorts[0].when.header: wrong value 'x a'", "expected the name of a header"]),
    Broken(
        .model("cohorts: [{ name: a, when: { header: { x: { exact: a, prefix: b } } }, version: v2 }]"),
        [
            "9:47: models[0].cohorts[0].when.header.x: has both exact and prefix",
            "expected one of exact, prefix, regex, present",
        ]),
    Broken(
        .model("cohorts: [{ name: a, when: { header: { x: { present: false } } }, version: v2 }]"),
        ["9:58: models[0].cohorts[0].when.header.x.present: wrong value 'false'", "expected true"]),
    Broken(
        .model("cohorts: [{ name: a, when: { header: { x: { regexp: a } } }, version: v2 }]"),
        [
            "9:49: models[0].cohorts[0].when.header.x: unknown key 'regexp'",
            "expected one of exact, prefix, regex, present",
            "did you mean 'regex'?",
        ]),
    Broken(
        .model("cohorts: [{ name: a, when: { header: { x: { regex: \"a(\" } } }, version: v2 }]"),
        [
            "9:56: models[0].cohorts[0].when.header.x.regex: the regular expression makes no sense at byte 2",
            "'a('",
        ]),
    Broken(
        .model("cohorts: [{ name: a, when: { header: { X-a: b, x-A: c } }, version: v2 }]"),
        ["9:52: models[0].cohorts[0].when.header: means the same as a name before it: 'x-A'"]),
    Broken(
        .model("cohorts: [{ name: a, when: { method: post }, version: v2 }]"),
        [
            "9:42: models[0].cohorts[0].when.method: wrong value 'post'",
            "expected a method in upper case, such as POST",
            "did you mean 'POST'?",
        ]),
    Broken(
        .model("cohorts: [{ name: a, when: { path: x }, version: v2 }]"),
        [
            "9:40: models[0].cohorts[0].when.path: wrong value 'x'",
            "expected a path that starts with / and has no",
            "did you mean '/x'?",
        ]),
    Broken(
        .model("cohorts: [{ name: a, when: { client_address: 10.0.0.0/40 }, version: v2 }]"),
        [
            "9:50: models[0].cohorts[0].when.client_address: wrong value '10.0.0.0/40'",
            "expected an address or a block such as",
        ]),
    Broken(
        .model("shadow: { version: v1 }"),
        [
            "9:24: models[0].shadow.version: stable cannot shadow itself: 'v1'",
            "expected another version; a second one with the",
        ]),
    Broken(
        .model("shadow: { version: v3 }"),
        [
            "9:24: models[0].shadow.version: unknown version 'v3'",
            "expected one of v1, v2",
            "did you mean 'v1'?",
        ]),
    Broken(
        .model("shadow: { percent: 10% }"),
        ["9:13: models[0].shadow: lacks 'version'", "expected a name of letters, digits and . _ - +"]),
    Broken(
        .model("shadow: { version: v2, percent: 110% }"),
        [
            "9:37: models[0].shadow.percent: wrong value '110%'",
            "expected a percentage such as 5% or 0.1%, from",
        ]),
    Broken(
        .model("shadow: { version: v2, timeout: 0s }"),
        [
            "9:37: models[0].shadow.timeout: wrong value '0s'",
            "expected a duration such as 500ms, 10s or 5m,",
        ]),
    Broken(
        .model("sticky: { keys: [] }"),
        ["9:21: models[0].sticky.keys: is empty", "expected at least 1"]),
    Broken(
        .model("sticky: { keys: [ip] }"),
        [
            "9:22: models[0].sticky.keys[0]: wrong value 'ip'",
            "expected {header: name}, {cookie: name},",
            "did you mean 'client_address'?",
        ]),
    Broken(
        .model("sticky: { keys: [{ header: a, cookie: b }] }"),
        [
            "9:22: models[0].sticky.keys[0]: has both header and cookie",
            "expected one of header, cookie, query",
        ]),
    Broken(
        .model("sticky: { keys: [{ heder: a }] }"),
        [
            "9:24: models[0].sticky.keys[0]: unknown key 'heder'",
            "expected one of header, cookie, query",
            "did you mean 'header'?",
        ]),
    Broken(
        .model("sticky: [client_address]"),
        ["9:13: models[0].sticky: is a list", "expected a mapping with keys"]),
    Broken(
        .model("timeouts: { connect: 5 }"),
        [
            "9:26: models[0].timeouts.connect: wrong value '5'",
            "expected a duration such as 500ms, 10s or 5m,",
            "did you mean '5s'?",
        ]),
    Broken(
        .model("timeouts: { conect: 5s }"),
        [
            "9:17: models[0].timeouts: unknown key 'conect'",
            "expected one of connect, first_byte, idle",
            "did you mean 'connect'?",
        ]),
    Broken(
        .model("timeouts: { idle: 1.5s }"),
        [
            "9:23: models[0].timeouts.idle: wrong value '1.5s'",
            "expected a duration such as 500ms, 10s or 5m,",
            "did you mean '1500ms'?",
        ]),
    Broken(
        .model("timeouts: { first_byte: 2d }"),
        [
            "9:29: models[0].timeouts.first_byte: wrong value '2d'",
            "expected a duration such as 500ms, 10s or 5m,",
        ]),
    Broken(
        .model("retries: { attempts: 11 }"),
        ["9:26: models[0].retries.attempts: wrong value '11'", "expected a whole number from 0 to 10"]),
    Broken(
        .model("retries: { budget: 0.2 }"),
        [
            "9:24: models[0].retries.budget: wrong value '0.2'",
            "expected a percentage such as 5% or 0.1%, from",
            "did you mean '20%'?",
        ]),
    Broken(
        .model("retries: { non_idempotent: yes }"),
        [
            "9:32: models[0].retries.non_idempotent: wrong value 'yes'",
            "expected true or false",
            "did you mean 'true'?",
        ]),
    Broken(
        .model("shield: on"),
        ["9:13: models[0].shield: wrong value 'on'", "expected true or false", "did you mean 'true'?"]),
    Broken(
        .model("client_half_close: ignored"),
        [
            "9:24: models[0].client_half_close: wrong value 'ignored'",
            "expected one of cancel, ignore",
            "did you mean 'ignore'?",
        ]),
    Broken(
        .model("response_headers: { versions: true }"),
        [
            "9:25: models[0].response_headers: unknown key 'versions'",
            "expected one of version, id",
            "did you mean 'version'?",
        ]),
    Broken(
        .model("alpha: 0%"),
        ["9:12: models[0].alpha: wrong value '0%'", "expected a percentage such as 5% or 0.1%, from"]),
    Broken(
        .model("alpha: 60%"),
        ["9:12: models[0].alpha: wrong value '60%'", "expected a percentage such as 5% or 0.1%, from"]),
    Broken(
        .model("cool_down: 10min"),
        [
            "9:16: models[0].cool_down: wrong value '10min'",
            "expected a duration such as 500ms, 10s or 5m,",
            "did you mean '10m'?",
        ]),
    Broken(
        .model("cohorts: [{ name: a, when: { query: { \"\": b } }, version: v2 }]"),
        [
            "9:43: models[0].cohorts[0].when.query: wrong value ''",
            "expected the name of a query parameter",
        ]),
    Broken(
        .model("cohorts: [{ name: a, when: { cookie: { uid: } }, version: v2 }]"),
        [
            "9:49: models[0].cohorts[0].when.cookie.uid: has no value",
            "expected a value, {prefix: …}, {regex: …} or",
        ]),
    Broken(
        .model("cohorts: [{ name: a, when: { adress: 10.0.0.1 }, version: v2 }]"),
        [
            "9:34: models[0].cohorts[0].when: unknown key 'adress'",
            "expected one of header, cookie, query, path,",
        ]),
    Broken(
        .model("candiate: v2"),
        [
            "9:5: models[0]: unknown key 'candiate'",
            "expected one of name, match, versions, stable,",
            "did you mean 'candidate'?",
        ]),
]

@Test(
    "A broken model gives exactly these problems, each with its place and what was expected",
    arguments: brokenModels)
private func brokenModel(_ broken: Broken) { broken.check() }
