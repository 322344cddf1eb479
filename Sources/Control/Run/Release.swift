// Which Weir this is: said by `weir version`, /status and the build info metric.

/// The release of the binary.
public enum Release {
    public static let version = "0.1.0"
}
