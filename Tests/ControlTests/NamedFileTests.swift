// The files that a config names: where relative paths start, for every key alike, and what is said of those
// that are not there.

import ConfigSamples
import Glibc
import Platform
import Rollout
import Testing

@testable import Calls
@testable import Config
@testable import Control
@testable import Sidecar

@Suite struct NamedFileTests {
    private static let head = ConfigSample.twoVersions
    private static let registry = "mlflow: { url: http://r:5000, model: m, alias: a, versions: { \"1\": v2 }"

    /// Every key that names a file to be read, as a whole config around `FILE`; each has it once.
    static let keys: [(key: String, yaml: String)] = [
        ("file", head + "    candidate: v2\n    preflight: { warm_up: { requests: 1, file: FILE } }\n"),
        ("password_file", head + "    candidate:\n      \(registry), username: u, password_file: FILE }\n"),
        ("token_file", head + "    candidate:\n      \(registry), token_file: FILE }\n"),
        ("ca_file", head + "    candidate:\n      \(registry), ca_file: FILE }\n"),
        ("url_file", head + "actions: [{ webhook: { url_file: FILE } }]\n"),
        ("secret_file", head + "actions: [{ webhook: { url: http://h, secret_file: FILE } }]\n"),
        (
            "routing_key_file",
            head + "actions: [{ webhook: { format: pagerduty, routing_key_file: FILE } }]\n"
        ),
        ("webhook.ca_file", head + "actions: [{ webhook: { url: https://h, ca_file: FILE } }]\n"),
        ("argo.token_file", head + "actions: [{ models: [m], argo: { rollout: r, token_file: FILE } }]\n"),
        ("argo.ca_file", head + "actions: [{ models: [m], argo: { rollout: r, ca_file: FILE } }]\n"),
    ]

    private func read(_ yaml: String, file: String) throws -> Config {
        try ConfigLoader.parse(
            yaml, file: file, resolve: ConfigSample.names, files: NamedFile.onThisMachine,
            read: NamedFile.readHere
        ).get()
    }

    @Test(
        "A file that is there is fine by a relative and by a whole path; one that is not is named",
        arguments: keys)
    func files(key: String, yaml: String) throws {
        let scratch = try Scratch()
        let config = scratch.path + "/weir.yaml"
        try File.replace(scratch.path + "/there", with: Array("x".utf8))
        for path in ["there", scratch.path + "/there"] {
            #expect(try read(yaml.replacing("FILE", with: path), file: config).absentFiles == [], "\(key)")
        }
        for path in ["gone", scratch.path + "/gone"] {
            let absent = try read(yaml.replacing("FILE", with: path), file: config).absentFiles
            #expect(absent.count == 1, "\(key): \(absent)")
            let said = absent.first?.description ?? ""
            #expect(said.contains("the file does not exist: '\(scratch.path)/gone'"), "\(said)")
            #expect(absent.first?.line ?? 0 > 7 && said.hasPrefix(config + ":"), "\(said)")
        }
        let folder = try read(yaml.replacing("FILE", with: scratch.path), file: config).absentFiles
        #expect(folder.first?.message == "the file is a folder:", "\(key)")
        // Nobody looks where nobody asked for it.
        let plain = ConfigLoader.parse(
            yaml.replacing("FILE", with: "gone"), file: config, resolve: ConfigSample.names)
        #expect(try plain.get().absentFiles == [])
    }

    @Test("A pipe, a device and an empty file are refused where a file to read is named", arguments: keys)
    func otherKinds(key: String, yaml: String) throws {
        let scratch = try Scratch()
        let config = scratch.path + "/weir.yaml"
        #expect(mkfifo(scratch.path + "/pipe", 0o600) == 0)
        symlink("/dev/zero", scratch.path + "/zeros")
        try File.replace(scratch.path + "/nothing", with: [UInt8]())
        let said = [
            "pipe": "the file is a pipe:", "zeros": "the file is a device:", "nothing": "the file is empty:",
        ]
        for (path, message) in said {
            let absent = try read(yaml.replacing("FILE", with: path), file: config).absentFiles
            #expect(absent.map(\.message) == [message], "\(key)")
        }
    }

    @Test("What became a pipe or a device after the check is refused at its use, without waiting")
    func pipesAtUse() throws {
        let scratch = try Scratch()
        let pipe = scratch.path + "/pipe"
        #expect(mkfifo(pipe, 0o600) == 0)
        for path in [pipe, "/dev/zero", scratch.path] {
            let warmUp = #expect(throws: WarmUpProblem.self) { try WarmUpRequest.load(path) }
            #expect(warmUp?.reason.contains("not a regular file") == true, "\(path)")
            guard case .failure(let secret) = SecretFile.read(path),
                case .failure(let reference) = DriftReference.load(path, NamedFile.readHere)
            else {
                Issue.record("\(path) was read")
                continue
            }
            #expect(secret.reason.contains("not a regular file"))
            #expect(reference.what.contains("not a regular file"))
            #expect(throws: TLSProblem.self) { _ = try TLSSession(host: "h", caFile: path) }
        }
    }

    @Test("The folder of the access log must be there, the file need not; standard output is no file")
    func accessLog() throws {
        let scratch = try Scratch()
        let config = scratch.path + "/weir.yaml"
        func said(_ path: String) throws -> [String] {
            try read("access_log: { path: \(path) }\n" + Self.head, file: config).absentFiles.map(\.message)
        }
        #expect(try said("access.jsonl") == [] && said("\"-\"") == [])
        #expect(try said("logs/access.jsonl") == ["its folder does not exist:"])
        #expect(try said(scratch.path) == ["the file is a folder:"])
        let log = try read("access_log: { path: a }\n" + Self.head, file: config).accessLog
        #expect(log.destination == .file(path: scratch.path + "/a"))
    }

    @Test("A program of exec must be there and may be run")
    func program() throws {
        let scratch = try Scratch()
        let path = scratch.path + "/tool"
        func said() throws -> [String] {
            try read("actions: [{ exec: { command: [\(path)] } }]\n" + Self.head, file: "weir.yaml")
                .absentFiles.map(\.message)
        }
        #expect(try said() == ["the program does not exist:"])
        try File.replace(path, with: Array("#!/bin/sh\n".utf8))
        #expect(chmod(path, 0o600) == 0)
        #expect(try said().first?.hasPrefix("the program is not this user's to use") == true)
        #expect(chmod(path, 0o700) == 0)
        #expect(try said() == [])
    }

    @Test("state_dir starts at the config's folder as well, for a running Weir and for what reads its files")
    func stateDir() throws {
        let scratch = try Scratch()
        let path = scratch.path + "/weir.yaml"
        for (written, meant) in [("state", scratch.path + "/state"), ("/srv/state", "/srv/state")] {
            let text = "state_dir: \(written)\n" + Self.head
            try File.replace(path, with: Array(text.utf8))
            #expect(try ConfigLoader.load(path: path).get().stateDir == meant)
            #expect(try ConfigGlance.stateDir(path: path) == meant)
            // Beside the working directory, as it is written.
            #expect(try read(text, file: "weir.yaml").stateDir == written)
        }
    }

    @Test("`weir check` ends with 78 for a missing file, and with 0 where the config is for elsewhere")
    func check() throws {
        let scratch = try Scratch()
        let path = scratch.path + "/weir.yaml"
        let text = Self.keys[0].yaml.replacing("FILE", with: "warm.jsonl")
        try File.replace(path, with: Array(text.utf8))
        let check = ConfigCheck.run(path: path)
        #expect(check.exitCode == 78)
        #expect(check.text.contains("the file does not exist: '\(scratch.path)/warm.jsonl'"))
        #expect(check.text.hasSuffix("\(path): 1 problem\n") && !check.text.contains("fine"))
        #expect(ConfigCheck.run(path: path, isForElsewhere: true).exitCode == 0)
        try File.replace(scratch.path + "/warm.jsonl", with: Array("{\"path\": \"/\"}\n".utf8))
        #expect(ConfigCheck.run(path: path).exitCode == 0)
        for (line, said) in [("{\"path\": }", ":2:10: "), ("[]", ":2:1: "), ("{}", ":2:1: ")] {
            try File.replace(scratch.path + "/warm.jsonl", with: Array("{\"path\": \"/\"}\n\(line)\n".utf8))
            let broken = ConfigCheck.run(path: path)
            #expect(broken.exitCode == 78)
            #expect(
                broken.text.contains("\(scratch.path)/warm.jsonl\(said)a request of the warm-up "),
                "\(broken.text)")
        }
        #expect(ConfigCheck.run(path: path, isForElsewhere: true).exitCode == 0)
    }
}
