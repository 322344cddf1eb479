// Candidates that a registry names, as values: what the file and the answers amount to, what `weir check`
// finds wrong without asking anybody, and the file of the answers. Random tests name their seed.

import ConfigSamples
import Platform
import Testing

@testable import Config
@testable import Control
@testable import Sidecar

private let wall: UInt64 = 1_700_000_000_000_000

/// A model with versions v1 (stable), v2 and v3, and these lines for who is the candidate.
func sourced(_ lines: String, more: String = "") -> String {
    """
    listeners: [{ listen: 127.0.0.1:8080 }]
    models:
      - name: m
        versions:
          v1: { endpoints: [127.0.0.1:9001] }
          v2: { endpoints: [127.0.0.1:9002] }
          v3: { endpoints: [127.0.0.1:9003] }
        stable: v1
    \(lines.split(separator: "\n").map { "    " + $0 }.joined(separator: "\n"))
    \(more)
    """
}

private let alias = "url: http://mlflow:5000, model: rec, alias: challenger"
private let mapped = "candidate: { mlflow: { \(alias), versions: { 1: v1, 2: v2, 3: v3, \"30\": v3 } } }\n"
private let stages = "rollout: { stages: [{ weight: 10%, hold: 1h }, { weight: 100% }] }\n"

private func answer(
    _ latest: AliasTarget, before: AliasTarget? = nil, alias: String = "challenger"
) -> [String: SourceAnswer] {
    let pointer = SourcePointer(registry: "http://mlflow:5000", model: "rec", alias: alias)
    return ["m": SourceAnswer(pointer: pointer, latest: latest, before: before, sinceMicros: wall)]
}

@Test("A candidate that an alias names is configured exactly as one that the file names")
private func sameAsFile() throws {
    for rest in [stages, "weights: { v3: 20% }\n", ""] {
        let asked = try ConfigSample.file(sourced(mapped + rest)).config()
        let said = try ConfigSample.file(sourced("candidate: v3\n" + rest)).config()
        var resolved = asked.resolved(by: answer(.version("30")))
        #expect(resolved.models[0].source?.versions["30"] == "v3")
        resolved.models[0].source = nil
        #expect(resolved.models == said.models)
    }
}

@Test(
    "The alias and the mapping decide who is the candidate; what is not mapped leaves the last in force",
    arguments: [
        (answer(.version("2")), "v2"), (answer(.version("30")), "v3"), (answer(.version("1")), nil),
        (answer(.missing), nil), (answer(.version("9")), nil), ([:], nil),
        (answer(.version("9"), before: .version("2")), "v2"), (answer(.version("9"), before: .missing), nil),
        (answer(.version("9"), before: .version("8")), nil), (answer(.missing, before: .version("2")), nil),
        (answer(.version("2"), alias: "another"), nil),
    ] as [([String: SourceAnswer], String?)])
private func whoIsCandidate(_ answers: [String: SourceAnswer], _ candidate: String?) throws {
    let config = try ConfigSample.file(sourced(mapped + stages)).config()
    let resolved = config.resolved(by: answers)
    #expect(resolved.models[0].candidates == (candidate.map { [$0] } ?? []))
    #expect(resolved.models[0].rollout?.program.candidate == candidate)
    #expect(resolved.resolved(by: answers) == resolved)
    #expect(resolved.resolved(by: [:]) == config)
}

@Test("Whatever an alias does, the last answer that the config knows is in force", arguments: [1, 2, 3])
private func lastKnown(_ seed: UInt64) throws {
    var random = Random64(seed: seed)
    let source = try #require(try ConfigSample.file(sourced(mapped)).config().models[0].source)
    var known: SourceAnswer?
    var last: String?
    for step in 0..<2_000 {
        let number = random.below(6)
        let target: AliasTarget = number == 0 ? .missing : .version("\(number)")
        known = source.answer(target, after: known, wallMicros: UInt64(step))
        if number <= 3 { last = number < 2 ? nil : "v\(number)" }
        #expect(source.choice(known, stable: "v1").inForce.candidate == last, "seed \(seed), step \(step)")
        let again = source.answer(target, after: known, wallMicros: .max)
        #expect(again == known, "the same answer is no news: seed \(seed), step \(step)")
    }
}

@Test("Weights stand for each version that may come; only the candidate's is in force")
private func weightsOfTheCandidate() throws {
    let text = sourced(mapped + "weights: { v2: 70%, v3: 60% }\n")
    let config = try ConfigSample.file(text).config()
    #expect(config.models[0].weights == [:])
    for (number, weights) in [("2", ["v2": 700_000]), ("3", ["v3": 600_000])] as [(String, [String: UInt32])]
    {
        #expect(config.resolved(by: answer(.version(number))).models[0].weights == weights)
    }
}

private let brokenSources: [Broken] = [
    Broken(
        .model("{}").naming("candidate: { mlflow: { \(alias), versions: {} } }"),
        [
            "8:94: models[0].candidate.mlflow.versions: is empty",
            "a mapping from the registry's version number",
        ]),
    Broken(
        .model("{}").naming("candidate: { mlflow: { \(alias), versions: { 2: v9 } } }"),
        ["8:99: models[0].candidate.mlflow.versions.2: unknown version 'v9'", "expected one of v1, v2"]),
    Broken(
        .model("{}").naming("candidate: { mlflow: { \(alias), versions: { 1: v1, 2: v1 } } }"),
        ["8:26: models[0].candidate.mlflow: every version of the registry stands for stable: 'v1'"]),
    Broken(
        .model("{}").naming("candidate: { mlflow: { \(alias) } }"),
        ["8:26: models[0].candidate.mlflow: lacks 'versions'"]),
    Broken(
        .model("{}").naming("candidate: { mlfow: { \(alias), versions: { 2: v2 } } }"),
        ["8:18: models[0].candidate: unknown key 'mlfow'", "did you mean 'mlflow'?"]),
    Broken(
        .model("{}").naming("candidate: [v2]"),
        ["8:16: models[0].candidate: is a list", "expected a name"]),
    Broken(
        .model("{}").naming("candidate: { mlflow: { \(alias), every: 10ms, versions: { 2: v2 } } }"),
        ["8:91: models[0].candidate.mlflow.every: wrong value '10ms'", "from 1s to 1h"]),
    Broken(
        .model("{}").naming("candidate: { mlflow: { \(alias), username: a, versions: { 2: v2 } } }"),
        ["8:26: models[0].candidate.mlflow: has username without password_file", "expected both or neither"]),
    Broken(
        .model("{}").naming(
            "candidate: { mlflow: { \(alias), username: \"a:b\", password_file: p, versions: { 2: v2 } } }"),
        ["8:94: models[0].candidate.mlflow.username: has a colon in it: 'a:b'"]),
    Broken(
        .model("{}").naming(
            "candidate: { mlflow: { \(alias), username: a, password_file: p, token_file: t, "
                + "versions: { 2: v2 } } }"
        ),
        ["8:26: models[0].candidate.mlflow: has both a token and a password"]),
    Broken(
        .model("weights: { v1: 50%, v2: 50% }").naming(
            "candidate: { mlflow: { \(alias), versions: { 2: v2 } } }"),
        ["9:16: models[0].weights: has a weight, and the registry cannot make it the candidate: 'v1'"]),
    Broken(
        .model("rollout: { candidate: v2, stages: [{ weight: 100% }] }").naming(
            "candidate: { mlflow: { \(alias), versions: { 2: v2 } } }"),
        ["9:27: models[0].rollout.candidate: the registry says who walks, not the file: 'v2'"]),
    Broken(
        .model("candidates: [v2]").naming("candidate: { mlflow: { \(alias), versions: { 2: v2 } } }"),
        ["3:5: models[0]: has both candidate and candidates"]),
]

extension ConfigSample {
    /// The sample with another line 8 in place of `candidate: v2`, and without `{}`.
    fileprivate func naming(_ candidate: String) -> ConfigSample {
        .file(text.replacing("candidate: v2\n", with: candidate + "\n").replacing("    {}\n", with: ""))
    }
}

@Test("What is wrong with a source is found without a registry, with its place", arguments: brokenSources)
private func broken(_ broken: Broken) { broken.check() }

@Test("Registries are asked by a thread each, so the models that have one are counted")
private func manySources() {
    func problems(_ count: Int) -> [String] {
        let models = (0..<count).map {
            """
              - { name: m\($0), match: { host: h\($0) }, stable: a,
                  candidate: { mlflow: { \(alias), versions: { 1: b } } },
                  versions: { a: { endpoints: [127.0.0.1:9001] }, b: { endpoints: [127.0.0.1:9002] } } }
            """
        }
        let text = "listeners: [{ listen: 127.0.0.1:8080 }]\nmodels:\n" + models.joined(separator: "\n")
        return ConfigSample.file(text).problems.map(\.description)
    }
    #expect(problems(64) == [])
    #expect(problems(65).count == 1)
    #expect(
        problems(65).first?.contains("has 65 candidates that a registry names; expected at most 64") == true)
}

@Test("An action must not move the alias that names the candidate when it promotes it")
private func noCircle() throws {
    func problems(_ previous: String, url: String = "http://mlflow:5000") -> [String] {
        let action =
            "actions: [{ mlflow: { url: \"\(url)\", model: rec, previous: \(previous), "
            + "versions: { v1: 1 } } }]"
        return ConfigSample.file(sourced(mapped, more: action)).problems.map(\.description)
    }
    #expect(problems("challenger").count == 1)
    #expect(problems("challenger").first?.contains("moves the alias that names the candidate of m:") == true)
    #expect(problems("before").isEmpty)
    #expect(problems("challenger", url: "http://other:5000").isEmpty)
}

@Test("weir check says whom it would ask and what the answers stand for, and asks nobody")
private func summary() throws {
    let result = ConfigSample.file(sourced(mapped + stages)).read()
    let check = ConfigCheck.of(result, file: "weir.yaml")
    #expect(check.exitCode == 0)
    for line in [
        "  candidate by mlflow alias challenger of rec at http://mlflow:5000, every 10s\n",
        "    version 2: v2\n", "    version 3: v3\n    version 30: v3\n",
        "  rollout of whichever the registry names\n    stage 1: 10% for 1h\n",
        "  guardrail error_rate_worse_than_stable:",
    ] { #expect(check.text.contains(line), "\(check.text)") }
}

@Test("A reload says what changes about a source, and that an alias has moved")
private func differences() throws {
    let config = try ConfigSample.file(sourced(mapped)).config()
    let moved = config.resolved(by: answer(.version("2")))
    #expect(ConfigDiff(from: config, to: moved).changes == ["model m: candidates: none -> v2"])
    let cases: [(String, String)] = [
        (
            mapped.replacing("challenger", with: "next"),
            "the candidate comes from: mlflow alias challenger of rec at http://mlflow:5000"
                + " -> mlflow alias next of rec at http://mlflow:5000"
        ), (mapped.replacing("2: v2", with: "2: v3"), "the registry's versions stand for others"),
        (
            mapped.replacing("rec,", with: "rec, timeout: 1s,"), "the registry is asked in another way"
        ),
    ]
    for (lines, change) in cases {
        let other = try ConfigSample.file(sourced(lines)).config()
        #expect(ConfigDiff(from: config, to: other).changes == ["model m: \(change)"])
    }
}

@Suite struct SourceFileTests {
    private let answers: [String: SourceAnswer] = {
        let pointer = SourcePointer(registry: "https://r", model: "ü\"x", alias: "a")
        return [
            "m": SourceAnswer(pointer: pointer, latest: .version("4"), before: .missing, sinceMicros: wall),
            "n": SourceAnswer(
                pointer: pointer, latest: .missing, before: .version("3"), sinceMicros: wall + 1),
            "o": SourceAnswer(pointer: pointer, latest: .missing, before: nil, sinceMicros: wall),
        ]
    }()

    @Test("What was saved is read back, and nothing is where there is no file")
    func roundTrip() throws {
        let scratch = try Scratch()
        #expect(try SourceFile.load(scratch.path).get() == [:])
        try SourceFile.save(answers, in: scratch.path)
        #expect(try SourceFile.load(scratch.path).get() == answers)
    }

    @Test("A file that was cut off or changed at any byte is damaged: it names nobody")
    func damaged() {
        let bytes = SourceFile.encoded(answers)
        #expect(SourceFile.decoded(bytes) == answers)
        for i in bytes.indices {
            #expect(SourceFile.decoded(Array(bytes[..<i])) == nil, "cut at \(i)")
            var other = bytes
            other[i] ^= 1
            // A flip in the header's names and spaces makes another header; what it vouches for stays whole.
            if let read = SourceFile.decoded(other) { #expect(read == answers, "flipped at \(i)") }
        }
    }
}
