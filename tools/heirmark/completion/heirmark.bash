# bash completion for heirmark; made by "heirmark completion bash".
_heirmark() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} path=heirmark words='' word
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $path in 'heirmark' | 'heirmark key' | 'heirmark ledger' | 'heirmark audit' | 'heirmark stamp') ;; *) break ;; esac
    case $word in -*) break ;; *) path="$path $word" ;; esac
  done
  case "$path $previous" in
    'heirmark key signer --algorithm') words='ed25519 p256' ;;
    'heirmark mark --dtype') words='f32 bf16 f16' ;;
    'heirmark mark --mode') words='marked issuance greedy off' ;;
    'heirmark detect --count-rule') words='distinct sqrt2 log2' ;;
    'heirmark detect --device') words='cpu cuda' ;;
    'heirmark audit power --channel') words='c1 c2 c3' ;;
    'heirmark audit power --entropy') words='0.6 1.1 1.7' ;;
    'heirmark audit plan --count-rule') words='distinct sqrt2 log2' ;;
    'heirmark audit verdict --require') words='supports inconclusive does-not-support' ;;
    'heirmark audit verdict --device') words='cpu cuda' ;;
    'heirmark verify --require') words='supports inconclusive does-not-support' ;;
    'heirmark verify --device') words='cpu cuda' ;;
  esac
  if [ -n "$words" ]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    return
  fi
  case $path in
    'heirmark') words='key mark ledger detect audit stamp doctor report verify bench help completion --verbose --quiet --help' ;;
    'heirmark key') words='new commit sign-ledger list show rotate open export-subkey signer --help' ;;
    'heirmark key new') words='--epoch --profile --family-size --purpose --not-before --not-after --json --keystore --passphrase-fd --help' ;;
    'heirmark key commit') words='--output --signer --no-sign --keystore --passphrase-fd --help' ;;
    'heirmark key sign-ledger') words='--signer --keystore --passphrase-fd --help' ;;
    'heirmark key list') words='--json --keystore --passphrase-fd --help' ;;
    'heirmark key show') words='--json --keystore --passphrase-fd --help' ;;
    'heirmark key rotate') words='--json --keystore --passphrase-fd --help' ;;
    'heirmark key open') words='--to --output --keystore --passphrase-fd --help' ;;
    'heirmark key export-subkey') words='--account --output --keystore --passphrase-fd --help' ;;
    'heirmark key signer') words='--algorithm --output --json --keystore --passphrase-fd --help' ;;
    'heirmark mark') words='--subkeys --opening --logits --dtype --vocab --tokens --texts --prompt --temperature --top-k --top-p --min-p --mode --account --seed --ledger --ledger-top --output --keystore --passphrase-fd --help' ;;
    'heirmark ledger') words='new list verify checkpoint export purge --help' ;;
    'heirmark ledger new') words='--keystore --passphrase-fd --help' ;;
    'heirmark ledger list') words='--records --accounts --json --keystore --passphrase-fd --help' ;;
    'heirmark ledger verify') words='--checkpoint --sealed --json --keystore --passphrase-fd --help' ;;
    'heirmark ledger checkpoint') words='--output --help' ;;
    'heirmark ledger export') words='--output --account --key --from --until --sample --keystore --passphrase-fd --help' ;;
    'heirmark ledger purge') words='--before --keep-days --account --keystore --passphrase-fd --help' ;;
    'heirmark detect') words='--opening --decoys --count-rule --reading --vocab --device --threads --explain --json --help' ;;
    'heirmark audit') words='power suspect plan run verdict --help' ;;
    'heirmark audit power') words='--channel --share --alpha --power --profile --entropy --inheritance --gain --response-tokens --price --json --help' ;;
    'heirmark audit suspect') words='--name --vocab --released --weights --output --help' ;;
    'heirmark audit plan') words='--commitment --suspect --output --prompts --ledger --channel --alpha --attempt --multiplicity --texts --tokens --decoys --count-rule --samples --top --fit --controls --signer --keystore --passphrase-fd --help' ;;
    'heirmark audit run') words='--batch --signer --keystore --passphrase-fd --help' ;;
    'heirmark audit verdict') words='--opening --require --signer --device --threads --explain --json --keystore --passphrase-fd --help' ;;
    'heirmark stamp') words='get request add --help' ;;
    'heirmark stamp get') words='--authority --ca --timeout --help' ;;
    'heirmark stamp request') words='--output --help' ;;
    'heirmark stamp add') words='--reply --request --slot --help' ;;
    'heirmark doctor') words='--subkeys --text --ledger --endpoint --model --api-key-fd --ca --requests --tokens --timeout --wait --json --help' ;;
    'heirmark report') words='--output --help' ;;
    'heirmark verify') words='--trust --trust-authority --require --device --threads --explain --json --help' ;;
    'heirmark bench') words='--vocab --rows --threads --seconds --json --help' ;;
    'heirmark help') words='--help' ;;
    'heirmark completion') words='--help' ;;
  esac
  case $current in
    -*) COMPREPLY=($(compgen -W "$words" -- "$current")) ;;
    *) COMPREPLY=($(compgen -W "${words%%--*}" -- "$current") $(compgen -f -- "$current")) ;;
  esac
}
complete -o filenames -F _heirmark heirmark
