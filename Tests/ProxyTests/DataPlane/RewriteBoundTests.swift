// A rewrite that makes a head larger than the write buffer: refused whole, never sent in part.
// Place: DataPlane over real sockets.

import Platform
import Testing

@testable import Proxy

@Suite struct RewriteBoundTests {
    @Test("A head that a rewrite makes too large is refused, and no byte of it reaches the upstream")
    func tooLarge() throws {
        let origin = try Origin.named("stable")
        let plane = try Plane(to: origin) { model in
            let value = String(repeating: "v", count: 4 * Limits.readBytesMax)
            model.versions[0].rewrite.addHeaders = [.init(name: "x-long", value: value)]
        }
        #expect(try plane.ask().status == 431)
        try plane.publish { $0.models[0].versions[0].rewrite.addHeaders = [] }
        #expect(try plane.ask().text == "stable")
        #expect(origin.seen.count == 1)
    }
}
