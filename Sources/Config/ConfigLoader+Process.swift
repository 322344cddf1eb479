// The sections of the process as a whole: where it listens, what it keeps, how large it may grow, whom it
// believes. Every key is one line; order here is the order of the reference page. What is read here is set up
// once, when Weir starts, but for `trusted_proxies` and `access_log`.

import Platform
import Proxy
import Rollout

extension Kind where Value == Config {
    /// The whole document.
    static func config(digest: String) -> Kind {
        .section("a mapping with listeners and models") { section in
            let admin = section.value("admin", .admin, or: .ip(.loopback, port: 9_902))
            let stateDir = section.value("state_dir", .stateDir, or: "/var/lib/weir")
            let listeners = section.required("listeners", .list(of: .listener, count: 1...64))
            let cores = section.optional("cores", .count(1...256))
            let bounds = section.value("limits", .limits, or: WrittenLimits())
            let trusted = section.value("trusted_proxies", .list(of: .addressRange, count: 0...256), or: [])
            let accessLog = section.value("access_log", .accessLog, or: AccessLogConfig())
            let journal = section.value("journal", .journal, or: JournalConfig())
            let actions = section.value(
                "actions", .list(of: .action, count: 0...ActionChecks.actionsMax), or: [])
            let feedback = section.value("feedback", .feedback, or: FeedbackConfig())
            let drain = section.value("drain", .drain, or: DrainConfig())
            let models = section.required(
                "models", .marked(.list(of: .model, count: 1...Limits.modelsMax)))
            let groups = section.value("groups", .list(of: .group, count: 0...1_024), or: [])
            let own = (listeners ?? []).map(\.value) + [admin]
            let checked = models.flatMap { ModelChecks(section.reading, own: own).checked($0) }
            let addresses = listeners.flatMap { ListenerChecks.checked($0, admin: admin, section.reading) }
            let told = ActionChecks.checked(actions, models: checked, section.reading)
            guard let addresses, let checked else { return nil }
            let whole = GroupChecks.checked(groups, models: checked, section.reading)
            var config = Config(
                admin: admin, stateDir: stateDir, listeners: addresses, cores: cores, limits: bounds.limits,
                trusted: trusted, accessLog: accessLog, journal: journal, actions: told, feedback: feedback,
                drain: drain, models: checked, groups: whole, digest: digest)
            config.limitsWritten = bounds.written
            return config
        }
    }
}

extension Kind where Value == SocketAddress {
    static var admin: Kind {
        .section("a mapping with listen") { section in
            guard let listen = section.required("listen", .marked(.listenAddress)) else { return nil }
            if listen.value.isLocal { return listen.value }
            section.reading.report(
                listen.place,
                "the admin API takes verbs without a password, and this address is reachable"
                    + " from other machines:", value: listen.text,
                expected: "a loopback address such as 127.0.0.1:9902, or unix:/path")
            return nil
        }
    }
}

extension Kind where Value == Marked<SocketAddress> {
    fileprivate static var listener: Kind {
        .section("a mapping with listen") { section in section.required("listen", .marked(.listenAddress)) }
    }
}

/// `limits`, and which of them stand in the file.
private struct WrittenLimits {
    var limits = Limits()
    var written: LimitsWritten = []
}

extension Kind where Value == WrittenLimits {
    /// The first group of `Limits`; per core.
    fileprivate static var limits: Kind {
        .section("a mapping of bounds") { section in
            var limits = Limits()
            let connections = Kind<Int>.count(1...1_000_000)
            limits.downstreamsMax = section.value("downstreams_max", connections, or: limits.downstreamsMax)
            limits.upstreamsMax = section.value("upstreams_max", connections, or: limits.upstreamsMax)
            limits.exchangesMax = section.value("exchanges_max", connections, or: limits.exchangesMax)
            limits.shadowsMax = section.value("shadows_max", connections, or: limits.shadowsMax)
            limits.blocksMax = section.value("blocks_max", .count(64...1_000_000), or: limits.blocksMax)
            limits.replayBytesMax = section.value(
                "replay_bytes_max", .size(0...(64 << 20)), or: limits.replayBytesMax)
            limits.poolIdleMax = section.value("pool_idle_max", .count(0...65_536), or: limits.poolIdleMax)
            section.readHeads(&limits)
            let pool = limits.blocksMax * Limits.blockBytes
            if limits.replayBytesMax > pool {
                section.reading.report(
                    section.place,
                    "replay_bytes_max is larger than the \(limits.blocksMax) blocks of blocks_max",
                    expected: "at most \(Notation.text(bytes: pool))")
            }
            let keys: [(String, LimitsWritten)] = [
                ("downstreams_max", .downstreams), ("upstreams_max", .upstreams),
                ("exchanges_max", .exchanges), ("shadows_max", .shadows), ("blocks_max", .blocks),
            ]
            let written = keys.filter { section.has($0.0) }.map(\.1)
            return WrittenLimits(limits: limits, written: LimitsWritten(written))
        }
    }
}

extension SectionReader {
    /// The bounds of heads. The smallest pool holds the longest.
    fileprivate mutating func readHeads(_ limits: inout Limits) {
        let heads = Kind<Int>.size((1 << 10)...(1 << 20))
        let fields = Kind<Int>.count(16...4_096)
        let line = optional("request_line_bytes_max", .marked(heads))
        limits.headBytesMax = value("request_head_bytes_max", heads, or: limits.headBytesMax)
        limits.fieldsMax = value("request_fields_max", fields, or: limits.fieldsMax)
        limits.responseHeadBytesMax = value(
            "response_head_bytes_max", heads, or: limits.responseHeadBytesMax)
        limits.responseFieldsMax = value("response_fields_max", fields, or: limits.responseFieldsMax)
        limits.lineBytesMax = line?.value ?? min(limits.lineBytesMax, limits.headBytesMax)
        if let line, line.value > limits.headBytesMax {
            reading.report(
                line.place, "is longer than request_head_bytes_max:", value: line.text,
                expected: "at most \(Notation.text(bytes: limits.headBytesMax))")
        }
    }
}

extension Kind where Value == AccessLogConfig {
    fileprivate static var accessLog: Kind {
        .section("a mapping with path") { section in
            let path = section.required("path", .accessLogPath)
            let sample = section.value("sample", .percentage(), or: 1_000_000)
            guard let path else { return nil }
            return AccessLogConfig(
                destination: path == "-" ? .standardOutput : .file(path: path), samplePPM: sample)
        }
    }
}

extension Kind where Value == String {
    fileprivate static var accessLogPath: Kind {
        let expected = "the path of a file, or - for standard output"
        return Kind(expected: expected) { node in
            node.text == "-" ? "-" : node.read(.file(expected, .appended))
        }
    }
}

/// What must hold between listeners.
enum ListenerChecks {
    /// The addresses, or nil when two of them are one; port 0 may stand several times.
    static func checked(
        _ listeners: [Marked<SocketAddress>], admin: SocketAddress, _ reading: Reading
    ) -> [SocketAddress]? {
        var seen: Set<SocketAddress> = []
        for listener in listeners where !listener.value.isAnyPort {
            if listener.value == admin {
                reading.report(
                    listener.place, "the admin API listens on this address:", value: listener.text,
                    expected: "an address of its own")
            } else if !seen.insert(listener.value).inserted {
                reading.report(
                    listener.place, "another listener has this address:", value: listener.text,
                    expected: "each address once")
            }
        }
        return listeners.map(\.value)
    }
}

extension Marked {
    /// A default: it stands nowhere.
    init(_ value: Value) {
        self.init(value: value, place: Place(path: "", line: 0, column: 0), text: nil)
    }
}

extension IPAddress {
    /// 127.0.0.1.
    package static let loopback = IPAddress(ipv4: 0x7F00_0001)
}

extension SocketAddress {
    /// Whether the kernel chooses the port.
    var isAnyPort: Bool {
        switch self {
        case .ip(_, let port): port == 0
        case .unix: false
        }
    }
}
