#!/bin/bash
# Sign (when an identity is given), notarise (when a profile is given), and wrap the bundle in an image.
#   make_dmg.sh M2HF-app.app m2hf-app-0.1.0.dmg
# M2HF_SIGN_IDENTITY   name of a "Developer ID Application" certificate in the keychain
# M2HF_NOTARY_PROFILE  profile stored with `xcrun notarytool store-credentials`
# Not run on our machines, which have no macOS; see README.md.
set -euo pipefail
bundle="$1"
image="$2"
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
stage="$(mktemp -d)"
trap 'rm -rf "$stage"' EXIT

if [[ -n "${M2HF_SIGN_IDENTITY:-}" ]]; then
  # Inside out: a signature covers what lies below it. Libraries of frameworks have no ending, so each file is asked.
  # Both programs need the rights, and the bundle's own signature covers the first one only.
  while IFS= read -r -d '' code; do
    case "$(file --brief "$code")" in
      Mach-O*executable*)
        codesign --force --timestamp --options runtime --entitlements "$here/entitlements.plist" \
          --sign "$M2HF_SIGN_IDENTITY" "$code" ;;
      Mach-O*)
        codesign --force --timestamp --options runtime --sign "$M2HF_SIGN_IDENTITY" "$code" ;;
    esac
  done < <(find "$bundle/Contents" -type f -print0)
  codesign --force --timestamp --options runtime --entitlements "$here/entitlements.plist" \
    --sign "$M2HF_SIGN_IDENTITY" "$bundle"
  codesign --verify --deep --strict "$bundle"
else
  echo "Not signed: set M2HF_SIGN_IDENTITY. Others will have to allow the program in System Settings." >&2
fi

cp -R "$bundle" "$stage/"
ln -s /Applications "$stage/Applications"
hdiutil create -volname "M2HF-app" -srcfolder "$stage" -format ULFO -ov "$image"

if [[ -n "${M2HF_NOTARY_PROFILE:-}" ]]; then
  xcrun notarytool submit "$image" --keychain-profile "$M2HF_NOTARY_PROFILE" --wait
  xcrun stapler staple "$image"
fi
