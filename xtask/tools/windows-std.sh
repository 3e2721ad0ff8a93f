#!/usr/bin/env bash
# Builds the Rust standard library for x86_64-pc-windows-gnu into a sysroot, from Debian's source of the very
# version of the installed rustc. Takes about a minute; the result (107 MB) is used with --sysroot.
#   windows-std.sh OUT_DIR      then: source OUT_DIR/env.sh
# Needs: gcc-mingw-w64-x86-64-posix g++-mingw-w64-x86-64-posix (apt), cargo and rustc of one version.
set -euo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd)
target=x86_64-pc-windows-gnu
version=$(rustc --version | awk '{print $2}')
mirror=$(awk '$1=="URIs:" && $2 !~ /security/ {print $2; exit}' /etc/apt/sources.list.d/debian.sources)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# rust-src of that version from a newer suite, through a private apt state: the system's sources stay as they are.
apt=$out/apt; mkdir -p "$apt"/{lists/partial,cache/archives/partial,preferences.d} "$out/debs" "$out/src"
echo "deb [signed-by=$keyring] $mirror trixie-backports main" > "$apt/sources.list"
opts=(-o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists="$apt/lists"
      -o Dir::Cache="$apt/cache" -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts="$apt/preferences.d"
      -o APT::Get::List-Cleanup=0 -o APT::Sandbox::User=root)
apt-get "${opts[@]}" -qq update
package=$(apt-cache "${opts[@]}" madison rust-src | awk -v v="$version" '$3 ~ "^"v {print $3; exit}')
[ -n "$package" ] || { echo "no rust-src $version in trixie-backports" >&2; exit 1; }
(cd "$out/debs" && apt-get "${opts[@]}" -qq download "rust-src=$package")
dpkg-deb --fsys-tarfile "$out"/debs/rust-src_"$version"*.deb | tar -C "$out/src" --strip-components=3 -xf - ./usr/src
source_dir=$out/src/rustc-$version

# panic_abort must itself be compiled with panic=abort, as rustc's own bootstrap does.
cat > "$out/rustc-wrap" <<'X'
#!/usr/bin/env bash
prev=; for a in "$@"; do [ "$prev" = --crate-name ] && [ "$a" = panic_abort ] && exec "$@" -C panic=abort; prev=$a; done
exec "$@"
X
chmod +x "$out/rustc-wrap"
RUSTC_BOOTSTRAP=1 RUSTC_WRAPPER=$out/rustc-wrap CARGO_TARGET_DIR=$out/build __CARGO_DEFAULT_LIB_METADATA=stablestd \
RUSTFLAGS="-Zforce-unstable-if-unmarked -Cembed-bitcode=yes" \
CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER=x86_64-w64-mingw32-gcc \
  cargo build -q --release --locked --target $target \
    --manifest-path "$source_dir/library/sysroot/Cargo.toml" --features panic-unwind,backtrace

lib=$out/sysroot/lib/rustlib; rm -rf "$out/sysroot"; mkdir -p "$lib/$target/lib"
host=$(rustc --print sysroot)
ln -s "$host/lib/rustlib/x86_64-unknown-linux-gnu" "$host/lib/rustlib/etc" "$lib/"
cp "$out/build/$target/release/deps/"*.rlib "$lib/$target/lib/"
cat > "$out/env.sh" <<E
# Only target crates get --sysroot, because the build target is named.
export CARGO_BUILD_TARGET=$target
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER=x86_64-w64-mingw32-gcc
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUSTFLAGS="--sysroot $out/sysroot"
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER=wine
E
echo "sysroot: $out/sysroot ($(du -sh "$out/sysroot" | cut -f1)); use: source $out/env.sh"
