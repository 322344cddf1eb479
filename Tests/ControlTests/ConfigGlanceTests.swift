// The admin address and the state directory of configs that are wrong everywhere else: the brake must work.

import Glibc
import Payload
import Platform
import Testing

@testable import Config
@testable import Control
@testable import Sidecar

@Suite struct ConfigGlanceTests {
    private static let right = "admin: { listen: \"127.0.0.1:7001\" }\n"

    private func admin(_ text: String) throws(ConfigProblem) -> String {
        let standard = SocketAddress.ip(.loopback, port: 9_902)
        let found = try ConfigGlance.admin(in: text, file: "weir.yaml", resolve: ConfigLoader.systemNames)
        return "\(found ?? standard)"
    }

    @Test(
        "The admin address is found whatever is wrong with the rest of the file",
        arguments: [
            right,
            right + "models: [{ name: m, guardrails: [{ kind: eror_rate }] }]\n",
            right + "modles: 7\n",
            right + "models:\n  - name: [\n",
            "models:\n\t- x\n" + right,
            "models: {]\n\"admin\" :\n  # where\n  listen: 127.0.0.1:7001\n\nlisteners: }\n",
            "listeners: [{ listen: \"no.such.name.invalid:1\" }]\n" + right,
        ])
    func found(text: String) throws {
        #expect(try admin(text) == "127.0.0.1:7001")
    }

    @Test(
        "Without the key it is the default, also where the file is no YAML",
        arguments: [
            "models: []\n", "# admin: { listen: \"127.0.0.1:1\" }\nmodels: {]\n",
        ])
    func standard(text: String) throws {
        #expect(try admin(text) == "127.0.0.1:9902")
    }

    @Test(
        "An admin address that is wrong itself is a problem with its place, never the default",
        arguments: [
            "models: []\nadmin: { listen: nonsense }\n", "models: []\nadmin: { listen: 10.0.0.1:80 }\n",
            "x: {]\nadmin: { listen: nonsense }\n", "\nadmin: {\n", "models: []\nadmin: 7\n",
            "\n{ \"admin\": { \"listen\": \"127.0.0.1:7001\" }, \"models\": [ }\n",
        ])
    func wrong(text: String) {
        #expect(throws: ConfigProblem.self) { try admin(text) }
        do {
            _ = try admin(text)
        } catch {
            #expect(error.line >= 2, "\(error)")
        }
    }

    @Test(
        "The place of the admin API says where its address is from",
        arguments: [
            (right, false, "admin in "), ("models: []\n", true, "the default, because admin is not set in "),
            ("", true, "the default, because admin is not set in "),
            ("admim: { listen: \"127.0.0.1:7001\" }\n", true, "(it has 'admim')"),
            ("drain: {}\n", true, "weir.yaml"),
        ])
    func place(text: String, isGuess: Bool, word: String) throws {
        let scratch = try Scratch()
        let path = scratch.path + "/weir.yaml"
        try File.replace(path, with: Array(text.utf8))
        let place = try ConfigGlance.admin(path: path)
        #expect(place.isGuess == isGuess && "\(place.address)" == "127.0.0.1:\(isGuess ? 9902 : 7001)")
        #expect(place.origin.contains(word) && place.origin.contains(path), "\(place.origin)")
        #expect(place.origin.contains("it has") == text.hasPrefix("admim"))
        func status(of text: String) -> JSON { ["config_digest": .string(Digest.sha256(text))] }
        #expect(!ConfigGlance.differs(path: path, from: status(of: text)))
        #expect(ConfigGlance.differs(path: path, from: status(of: text + "\n")))
        #expect(!ConfigGlance.differs(path: path, from: [:]))
    }

    @Test(
        "A file that is no config says so as check does, and a stray byte in a config is no reason",
        arguments: [
            (Array("\u{0}\u{1}".utf8) + [0xFF, 0xFE, 0x80], "is not UTF-8 text"),
            (Array("\tonce: [\n".utf8), ":1:"), (Array("{ [ %".utf8), ":1:"),
        ] as [([UInt8], String)])
    func noConfig(bytes: [UInt8], message: String) throws {
        let scratch = try Scratch()
        let path = scratch.path + "/weir.yaml"
        try File.replace(path, with: bytes)
        let found = #expect(throws: ConfigProblem.self) { try ConfigGlance.admin(path: path) }
        let said = try #require(found)
        #expect(said.line >= 1 && "\(said)".contains(message), "\(said)")
        guard case .failure(let problems) = ConfigLoader.load(path: path) else {
            Issue.record("it was read as a config")
            return
        }
        #expect(problems.all.first == said)
        try File.replace(path, with: Array("# caf".utf8) + [0xE9, 0x0A] + Array(Self.right.utf8))
        #expect(try "\(ConfigGlance.admin(path: path).address)" == "127.0.0.1:7001")
    }

    @Test("A pipe as a config is refused at once, by commands that load it and by those that glance at it")
    func pipe() throws {
        let scratch = try Scratch()
        let path = scratch.path + "/pipe"
        #expect(mkfifo(path, 0o600) == 0)
        let found = #expect(throws: ConfigProblem.self) { try ConfigGlance.admin(path: path) }
        #expect(found?.message.contains("which is not a regular file") == true)
        guard case .failure(let problems) = ConfigLoader.load(path: path) else {
            Issue.record("a pipe was read")
            return
        }
        #expect(problems.description.contains("which is not a regular file"))
    }

    @Test("Who gets no answer reads where the address is from; who named it does not")
    func unreachable() throws {
        let scratch = try Scratch()
        let address = SocketAddress.unix(path: scratch.path + "/none.sock")
        let place = AdminPlace(address: address, isGuess: true, origin: "the default, because")
        let asked = #expect(throws: AdminUnreachable.self) { try AdminClient(place).get("/livez") }
        #expect("\(try #require(asked))".hasSuffix("The address is the default, because."))
        let named = #expect(throws: AdminUnreachable.self) { try AdminClient(address).get("/livez") }
        #expect(!"\(try #require(named))".contains("The address is"))
    }

    @Test("The state directory is read in the same way")
    func stateDir() throws {
        func read(_ text: String) throws -> String {
            try ConfigGlance.stateDir(in: text, file: "weir.yaml")
        }
        #expect(try read("state_dir: /srv/weir\nmodels: [\n") == "/srv/weir")
        #expect(try read("models: [\n") == "/var/lib/weir")
    }
}
