// What an answer says, where it says it in JSON.
// Place: between `Calls`, which gives bytes, and the sinks, registries and checks that read them.
// Invariant: any bytes give a value or nil.

import Payload
import Calls

extension HTTPAnswer {
    /// The body as JSON; nil when it is none.
    var json: JSON? { try? JSON(parsing: body) }
}
