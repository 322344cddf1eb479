// The model servers of the benchmarks: three embedded ones that answer 1 KB at once, in one process that the
// comparison pins to the load's CPU. Speaks lines on stdin and stdout: the ports at the start, the counts of
// requests at every line read, and ends with stdin.

import Demo
import Platform

@main
struct Origin {
    static func main() throws {
        let names = ["stable", "candidate", "shadow"]
        let loopback = SocketAddress.ip(IPAddress(ipv4: 0x7F00_0001), port: 0)
        let servers = try names.map {
            try ModelServer(loopback, model: "bench", version: $0, serviceTime: .immediate, seed: 1)
        }
        say(names, servers.map { $0.address.port })
        while readLine() != nil { say(names, servers.map(\.requests)) }
    }

    /// One line of JSON, written at once.
    private static func say(_ names: [String], _ values: [some BinaryInteger]) {
        let pairs = zip(names, values).map { "\"\($0)\": \($1)" }
        var line = "{\(pairs.joined(separator: ", "))}\n"
        let out = Descriptor(adopting: 1)
        _ = line.withUTF8 { out.write(UnsafeRawBufferPointer($0)) }
        _ = out.release()
    }
}

extension SocketAddress {
    /// The port; 0 for a Unix socket.
    fileprivate var port: UInt16 {
        switch self {
        case .ip(_, let port): port
        case .unix: 0
        }
    }
}
