// The one value that a command needs of a config file: where the running Weir's admin API is, or where its
// files are. `ConfigGlance` reads the text, however wrong the rest of it is; here is the file.
// Place: behind the verbs, `weir status`, `weir report`, `weir audit` and `weir captures`.
// Invariant: no name but the admin API's own is resolved.

import Config
import Payload
import Platform

/// Where a running Weir's admin API is looked for.
package struct AdminPlace: Sendable, Equatable {
    package var address: SocketAddress
    /// Whether nobody has named it.
    package var isGuess: Bool
    /// Where the address is from, for people.
    package var origin: String

    package init(address: SocketAddress, isGuess: Bool, origin: String) {
        (self.address, self.isGuess, self.origin) = (address, isGuess, origin)
    }

    /// Without a config.
    /// - Parameter places: where one was looked for.
    package static func standard(without places: [String]) -> AdminPlace {
        AdminPlace(
            address: .ip(.loopback, port: 9_902), isGuess: true,
            origin: "the default, because there is no config: neither \(places.joined(separator: " nor "))"
                + " exists")
    }
}

extension ConfigGlance {
    /// The admin API of the Weir that a config is for.
    package static func admin(path: String) throws(ConfigProblem) -> AdminPlace {
        let text = try text(path)
        guard let written = try admin(in: text, file: path, resolve: ConfigLoader.systemNames) else {
            let meant = misspelt("admin", in: text, file: path).map { " (it has '\($0)')" } ?? ""
            return AdminPlace(
                address: .ip(.loopback, port: 9_902), isGuess: true,
                origin: "the default, because admin is not set in \(path)\(meant)")
        }
        return AdminPlace(
            address: written, isGuess: false,
            origin: "admin in \(path); a Weir that was started before that was changed listens at the"
                + " address of then until it is restarted")
    }

    /// Whether a running Weir has another config than the file: another one, or as it was before an edit.
    /// - Parameter status: its /status; one without a digest says nothing.
    package static func differs(path: String, from status: JSON) -> Bool {
        guard let digest = status["config_digest"]?.string else { return false }
        return (try? text(path)).map { Digest.sha256($0) } != digest
    }

    /// The state directory.
    package static func stateDir(path: String) throws(ConfigProblem) -> String {
        try stateDir(in: text(path), file: path)
    }

    private static func text(_ path: String) throws(ConfigProblem) -> String {
        let bytes: [UInt8]
        do throws(SystemFailure) {
            bytes = try File.readRegular(path, bytesMax: ConfigLoader.fileBytesMax)
        } catch {
            throw .whole(path, "cannot be read: \(error)")
        }
        return try text(bytes, file: path)
    }
}
