// The bounds in force: whatever a machine allows, either the shares fit into it or the start is refused.

import ConfigSamples
import Platform
import Proxy
import Testing

@testable import Config
@testable import Control
@testable import Sidecar

@Suite struct ResourceLimitsTests {
    private func config(_ top: String = "") throws -> Config { try ConfigSample.top(top).config() }

    private func fitted(
        _ top: String = "", descriptors: Int = 1 << 20, cores: Int = 2, memory: MemoryLimit = .unknown
    ) throws -> ResourceLimits {
        let allowance = Allowance(descriptors: descriptors, memory: memory)
        return try ResourceLimits(try config(top), cores: cores, allowance)
    }

    @Test("Where there is enough of everything the defaults are in force, and nothing is said")
    func plenty() throws {
        let fitted = try fitted(memory: .container(bytes: 64 << 30))
        #expect(fitted.limits == Limits())
        #expect(fitted.lowered.isEmpty)
    }

    @Test("Shares and reserve never exceed the descriptors, whatever their number and the cores'")
    func invariant() throws {
        var (refused, lowered) = (0, 0)
        for cores in [1, 2, 3, 8, 64, 256] {
            for power in 4...20 {
                for descriptors in [1 << power, 3 << power, (1 << power) + 7] {
                    do {
                        let fitted = try fitted(descriptors: descriptors, cores: cores)
                        #expect(fitted.reserved + cores * fitted.limits.descriptorsMax <= descriptors)
                        #expect(fitted.limits.downstreamsMax >= 16 && fitted.limits.upstreamsMax >= 8)
                        #expect(fitted.limits.exchangesMax <= fitted.limits.downstreamsMax)
                        #expect(fitted.limits.shadowsMax <= max(1, fitted.limits.upstreamsMax / 4))
                        lowered += fitted.lowered.isEmpty ? 0 : 1
                    } catch {
                        #expect("\(error)".contains("allows \(descriptors)"))
                        refused += 1
                    }
                }
            }
        }
        #expect(refused > 20 && lowered > 100)
    }

    @Test("A hard limit of 1,024 on two cores still serves hundreds, and says what it lowered and why")
    func usual() throws {
        let fitted = try fitted(descriptors: 1_024)
        #expect(2 * fitted.limits.downstreamsMax > 400 && 2 * fitted.limits.upstreamsMax > 200)
        #expect(fitted.lowered.count == 2)
        #expect(fitted.lowered[0].contains("downstreams_max is \(fitted.limits.downstreamsMax) per core"))
        #expect(fitted.lowered[0].contains("RLIMIT_NOFILE allows 1024 descriptors"))
    }

    @Test("A bound that the file writes is kept, and the one that it leaves out gives way")
    func written() throws {
        let wide = try fitted("limits: { downstreams_max: 300 }", descriptors: 1_024)
        #expect(wide.limits.downstreamsMax == 300 && wide.limits.upstreamsMax < 133)
        let deep = try fitted("limits: { upstreams_max: 300 }", descriptors: 1_024)
        #expect(deep.limits.upstreamsMax == 300 && deep.limits.downstreamsMax < 133)
        let tiny = try fitted("limits: { downstreams_max: 2, upstreams_max: 2 }", descriptors: 1_024)
        #expect(tiny.limits.downstreamsMax == 2 && tiny.limits.upstreamsMax == 2)
        #expect(tiny.lowered.isEmpty)
    }

    static let impossible = [
        "limits: { downstreams_max: 5000 }", "limits: { upstreams_max: 900 }",
        "limits: { downstreams_max: 400, upstreams_max: 400 }",
    ]

    @Test(
        "Written bounds that cannot be met are refused with the numbers and the next step",
        arguments: impossible)
    func refused(top: String) throws {
        let problem = #expect(throws: LimitsProblem.self) { try fitted(top, descriptors: 1_024) }
        let text = "\(try #require(problem))"
        for part in ["allows 1024", "written under limits", "LimitNOFILE=", "ulimit -n", "fewer cores"] {
            #expect(text.contains(part), "\(text)")
        }
        #expect(SidecarProblem.limits(try #require(problem)).exitCode == 71)
        let here = ConfigCheck.limits(try config(top), Allowance(descriptors: 1_024, memory: .unknown))
        #expect(here == .failure(try #require(problem)))
    }

    @Test("The reserve grows with what the config has; a reload that needs more than is to spare is refused")
    func reserve() throws {
        let plain = try config()
        func actions(_ count: Int) throws -> Config {
            try config(
                "actions:\n"
                    + (0..<count).map { "  - { name: a\($0), exec: { command: [/bin/true] } }" }.joined(
                        separator: "\n"))
        }
        let busy = try actions(30)
        #expect(
            ResourceLimits.reserve(busy, cores: 2) == ResourceLimits.reserve(plain, cores: 2) + 300)
        let tight = try fitted(descriptors: 1_024)
        #expect(tight.refusal(of: plain) == nil)
        #expect(try #require(tight.refusal(of: busy)).contains("restart weir"))
        #expect(try fitted().refusal(of: busy) == nil)
        // There is something to spare for what one reload adds, as the checks of a control arm.
        #expect(try tight.refusal(of: actions(5)) == nil)
    }

    @Test("Buffers shrink until a container's memory holds all of them; below that the start is refused")
    func memory() throws {
        let roomy = try fitted(memory: .container(bytes: 1 << 30))
        #expect(roomy.lowered.isEmpty)
        var last = Int.max
        for megabytes in [512, 384, 320, 256, 224, 192] {
            let bytes = megabytes << 20
            let fitted = try fitted(memory: .container(bytes: bytes))
            #expect(fitted.bytesMax <= bytes, "\(megabytes) MiB")
            #expect(fitted.limits.blocksMax <= last)
            last = fitted.limits.blocksMax
        }
        #expect(last < Limits().blocksMax)
        let none = #expect(throws: LimitsProblem.self) { try fitted(memory: .container(bytes: 64 << 20)) }
        #expect("\(try #require(none))".contains("the container allows 64 MiB"))
        // A machine that is short for the moment is no reason not to start.
        #expect(try fitted(memory: .machine(bytes: 64 << 20)).limits.blocksMax >= 64)
    }

    @Test("Written buffers are kept where they fit and refused where they cannot")
    func writtenMemory() throws {
        let top = "limits: { blocks_max: 100000 }"
        #expect(try fitted(top, memory: .machine(bytes: 64 << 30)).limits.blocksMax == 100_000)
        let problem = #expect(throws: LimitsProblem.self) {
            try fitted(top, memory: .machine(bytes: 1 << 30))
        }
        #expect("\(try #require(problem))".contains("blocks_max 100000"))
    }
}
