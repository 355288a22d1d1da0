#include "ptx.hpp"

#include <charconv>
#include <cstring>
#include <set>

#include "operations.hpp"

namespace heirmark::emulator {
namespace {
struct Token {
  std::string_view text;
  std::uint32_t line;
};

bool in_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' || c == '%' || c == '.'; }

std::vector<Token> tokens_of(std::string_view text, const std::string& name) {
  std::vector<Token> tokens;
  std::uint32_t line = 1;
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    const std::size_t begin = i;
    if (c == '\n') ++line;
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\0') {
      ++i;
      continue;
    }
    if (c == '/' && text.substr(i, 2) == "//") {
      while (i < text.size() && text[i] != '\n') ++i;
      continue;
    }
    if (c == '"') {
      i = text.find('"', i + 1);
      if (i == std::string_view::npos) throw PtxError(name + ":" + std::to_string(line) + ": a string without end");
      ++i;
    } else if (in_word(c) || (c == '-' && i + 1 < text.size() && in_word(text[i + 1]))) {
      ++i;
      while (i < text.size() && (in_word(text[i]) || (text[i] == ':' && text.substr(i, 2) == "::"))) i += text[i] == ':' ? 2u : 1u;
    } else {
      ++i;
    }
    tokens.push_back({text.substr(begin, i - begin), line});
  }
  return tokens;
}

struct Type {
  std::uint8_t width;
  bool sign;
};
/// Of ".u32", "b8" and the like; width 0 if it is none.
Type type_of(std::string_view name) {
  if (!name.empty() && name[0] == '.') name.remove_prefix(1);
  if (name == "pred") return {1, false};
  if (name.size() < 2 || std::string_view("busf").find(name[0]) == std::string_view::npos) return {0, false};
  unsigned bits = 0;
  const auto read = std::from_chars(name.data() + 1, name.data() + name.size(), bits);
  if (read.ec != std::errc() || read.ptr != name.data() + name.size() || (bits != 8 && bits != 16 && bits != 32 && bits != 64)) return {0, false};
  return {static_cast<std::uint8_t>(bits / 8), name[0] == 's'};
}

std::vector<std::string_view> parts_of(std::string_view opcode) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= opcode.size();) {
    std::size_t end = opcode.find('.', begin);
    if (end == std::string_view::npos) end = opcode.size();
    parts.push_back(opcode.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

class Parser {
 public:
  Parser(std::string_view text, const std::string& name, bool contract) : tokens_(tokens_of(text, name)), module_(std::make_unique<Module>()), contract_(contract) {
    module_->name = name;
  }

  std::unique_ptr<Module> parse() {
    while (!done()) top_level();
    for (const auto& [index, callee, line] : unresolved_) {
      const auto found = module_->function_of.find(callee);
      if (found == module_->function_of.end()) fail(line, "call of an unknown function " + callee);
      module_->calls[index].callee = found->second;
    }
    for (auto& function : module_->functions)
      for (auto& callee : function.callees) callee = module_->calls[callee].callee;
    for (std::uint32_t f = 0; f < module_->functions.size(); ++f)
      if (module_->functions[f].entry) gather_shared(f);
    return std::move(module_);
  }

 private:
  struct Symbol {
    enum class Where : std::uint8_t { shared, local, frame, param } where;
    std::uint32_t offset, bytes;
  };
  /// An operand before it is known what the instruction does with it.
  struct Operand {
    std::vector<std::uint32_t> slots;
    bool address = false;
    Space space = Space::generic;  ///< of an address by name
    std::uint32_t base = kNone;
    std::int64_t offset = 0;
    std::string_view word;  ///< a name that is no register: a label, say
    std::string_view second;
  };

  [[noreturn]] void fail(std::uint32_t line, const std::string& what) const { throw PtxError(module_->name + ":" + std::to_string(line) + ": " + what); }
  [[noreturn]] void fail(const std::string& what) const { fail(done() ? 0 : tokens_[at_].line, what); }
  [[nodiscard]] bool done() const { return at_ >= tokens_.size(); }
  [[nodiscard]] std::string_view peek() const { return done() ? std::string_view() : tokens_[at_].text; }
  [[nodiscard]] std::uint32_t line() const { return done() ? 0 : tokens_[at_].line; }
  std::string_view next() {
    if (done()) fail("the text ends too early");
    return tokens_[at_++].text;
  }
  bool accept(std::string_view text) {
    if (peek() != text) return false;
    ++at_;
    return true;
  }
  void expect(std::string_view text) {
    if (!accept(text)) fail("'" + std::string(text) + "' expected, not '" + std::string(peek()) + "'");
  }
  void skip_line() {
    for (const std::uint32_t here = line(); !done() && line() == here;) ++at_;
  }
  template <class T>
  T number(std::string_view text) const {
    T value{};
    const bool hex = text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    const char* const begin = text.data() + (hex ? 2 : 0);
    const auto read = std::from_chars(begin, text.data() + text.size(), value, hex ? 16 : 10);
    if (read.ec != std::errc() || read.ptr != text.data() + text.size()) fail("'" + std::string(text) + "' is no number");
    return value;
  }

  // ---- Outside functions
  void top_level() {
    const std::string_view word = peek();
    if (word == ".version" || word == ".target" || word == ".address_size") return skip_line();
    if (word == ".file") {
      next();
      const auto index = number<std::uint32_t>(next());
      std::string_view path = next();
      module_->files[index] = std::string(path.substr(1, path.size() - 2));
      if (accept(",")) {
        next();
        expect(",");
        next();
      }
      return;
    }
    if (word == ".section") {
      while (next() != "{") {}
      while (next() != "}") {}
      return;
    }
    if (word == ".visible" || word == ".extern" || word == ".weak") {
      next();
      return;
    }
    if (word == ".func" || word == ".entry") return function();
    if (word == ".shared") return variables();
    fail("'" + std::string(word) + "' is not understood here");
  }

  struct Declared { std::string_view name; std::uint32_t align, bytes; };
  /// [.align N] .type name[N]
  Declared declared() {
    std::uint32_t align = 0;
    if (accept(".align")) align = number<std::uint32_t>(next());
    const Type type = type_of(next());
    if (type.width == 0) fail("an unknown type");
    const std::string_view name = next();
    std::uint32_t count = 1;
    if (accept("[")) {
      count = number<std::uint32_t>(next());
      expect("]");
    }
    return {name, std::max<std::uint32_t>(align, type.width), count * type.width};
  }
  static std::uint32_t place(std::uint32_t& end, const Declared& what) {
    const std::uint32_t begin = (end + what.align - 1) / what.align * what.align;
    end = begin + what.bytes;
    return begin;
  }

  void variables() {
    expect(".shared");
    const Declared what = declared();
    module_->shared_bytes += 64;  // nobody's
    const std::uint32_t offset = place(module_->shared_bytes, what);
    shared_[std::string(what.name)] = {Symbol::Where::shared, offset, what.bytes};
    expect(";");
  }

  // ---- Functions
  void function() {
    const bool entry = next() == ".entry";
    symbols_.clear();
    registers_.clear();
    labels_.clear();
    branches_.clear();
    constants_.clear();
    shared_used_.clear();
    Function made;
    made.entry = entry;
    if (!entry && peek() == "(") made.returned = formals(made, Symbol::Where::frame);
    made.name = std::string(next());
    if (peek() == "(") made.params = formals(made, entry ? Symbol::Where::param : Symbol::Where::frame);
    std::uint32_t index = 0;
    if (const auto known = module_->function_of.find(made.name); known != module_->function_of.end()) {
      index = known->second;
    } else {
      index = static_cast<std::uint32_t>(module_->functions.size());
      module_->functions.emplace_back();
      module_->function_of[made.name] = index;
    }
    while (peek() == ".maxntid" || peek() == ".minnctapersm" || peek() == ".noreturn") {
      const std::string_view which = next();
      std::uint32_t product = 1;
      while (!peek().empty() && peek()[0] >= '0' && peek()[0] <= '9') {
        product *= number<std::uint32_t>(next());
        accept(",");
      }
      if (which == ".maxntid") made.max_threads = product;
      if (which == ".minnctapersm") made.resident = product;
    }
    function_ = &made;
    if (!accept(";")) body();
    module_->functions[index] = std::move(made);
  }

  std::vector<std::pair<std::uint32_t, std::uint32_t>> formals(Function& made, Symbol::Where where) {
    std::vector<std::pair<std::uint32_t, std::uint32_t>> found;
    std::uint32_t& end = where == Symbol::Where::param ? made.param_bytes : made.frame_bytes;
    expect("(");
    while (!accept(")")) {
      expect(".param");
      const Declared what = declared();
      const std::uint32_t offset = place(end, what);
      symbols_[std::string(what.name)] = {where, offset, what.bytes};
      found.emplace_back(offset, what.bytes);
      accept(",");
    }
    return found;
  }

  void body() {
    expect("{");
    function_->begin = static_cast<std::uint32_t>(module_->code.size());
    const std::uint32_t own = function_->frame_bytes;
    std::uint32_t params = own;  // of the call that is being prepared
    for (int depth = 1; depth > 0;) {
      const std::string_view word = peek();
      if (word == "{") {
        next();
        ++depth;
        params = own;
      } else if (word == "}") {
        next();
        --depth;
      } else if (word == ".reg") {
        next();
        if (type_of(next()).width == 0) fail("a register of unknown type");
        const std::string name(next());
        if (accept("<")) {
          const auto count = number<std::uint32_t>(next());
          expect(">");
          for (std::uint32_t i = 0; i < count; ++i) registers_[name + std::to_string(i)] = function_->registers++;
        } else {
          registers_[name] = function_->registers++;
        }
        expect(";");
      } else if (word == ".param") {
        next();
        const Declared what = declared();
        symbols_[std::string(what.name)] = {Symbol::Where::frame, place(params, what), what.bytes};
        function_->frame_bytes = std::max(function_->frame_bytes, params);
        expect(";");
      } else if (word == ".local") {
        next();
        const Declared what = declared();
        symbols_[std::string(what.name)] = {Symbol::Where::local, place(function_->local_bytes, what), what.bytes};
        expect(";");
      } else if (word == ".shared") {
        variables();
      } else if (word == ".loc") {
        location();
      } else if (word == ".pragma") {
        while (next() != ";") {}
      } else if (at_ + 1 < tokens_.size() && tokens_[at_ + 1].text == ":") {
        labels_[std::string(next())] = static_cast<std::uint32_t>(module_->code.size());
        next();
      } else {
        instruction();
      }
    }
    for (const auto& [index, label, where] : branches_) {
      const auto found = labels_.find(label);
      if (found == labels_.end()) fail(where, "no label " + label);
      module_->code[index].target = found->second;
    }
    if (contract_) contract();
    function_->local_bytes = (function_->local_bytes + 15) / 16 * 16;
    // What runs past the end of a function would run into the next.
    const Instruction* const last = module_->code.size() == function_->begin ? nullptr : &module_->code.back();
    if (last == nullptr || last->guard != kNone || (last->kind != Kind::leave && last->kind != Kind::branch)) fail("a function that does not end");
  }

  /// .loc file line column [, function_name label [+ n], inlined_at file line column]: the innermost place.
  void location() {
    const std::uint32_t here = line();
    next();
    file_ = number<std::uint32_t>(next());
    source_line_ = number<std::uint32_t>(next());
    while (!done() && line() == here && peek() != "}") ++at_;
  }

  // ---- Instructions
  std::uint32_t constant(std::uint64_t bits) {
    const auto found = constants_.find(bits);
    if (found != constants_.end()) return found->second;
    const auto slot = kConstant + static_cast<std::uint32_t>(function_->constants.size());
    function_->constants.emplace_back();
    function_->constants.back().fill(bits);
    constants_[bits] = slot;
    return slot;
  }

  /// Register, number or name of a variable; kNone for another word.
  std::uint32_t slot_of(std::string_view word) {
    if (word == "_") return kNone;
    if (const auto found = registers_.find(std::string(word)); found != registers_.end()) return found->second;
    if (word[0] == '-') return constant(static_cast<std::uint64_t>(number<std::int64_t>(word)));
    if (word[0] >= '0' && word[0] <= '9') {
      if (word.size() > 2 && (word[1] == 'f' || word[1] == 'F' || word[1] == 'd' || word[1] == 'D')) {  // bits of a float or double
        std::uint64_t bits = 0;
        const auto read = std::from_chars(word.data() + 2, word.data() + word.size(), bits, 16);
        if (read.ptr != word.data() + word.size() || word.size() != ((word[1] | 32) == 'f' ? 10u : 18u)) fail("a malformed number");
        return constant(bits);
      }
      return constant(number<std::uint64_t>(word));
    }
    return kNone;
  }

  const Symbol* symbol_of(std::string_view word) {
    if (const auto found = symbols_.find(std::string(word)); found != symbols_.end()) return &found->second;
    if (const auto found = shared_.find(std::string(word)); found != shared_.end()) {
      if (shared_used_.insert(found->second.offset).second) function_->shared.push_back({found->second.offset, found->second.bytes});
      return &found->second;
    }
    return nullptr;
  }

  Operand operand() {
    Operand made;
    if (accept("{")) {
      while (!accept("}")) {
        made.slots.push_back(slot_of(next()));
        accept(",");
      }
      return made;
    }
    if (accept("[")) {
      made.address = true;
      const std::string_view word = next();
      if (const Symbol* const symbol = symbol_of(word)) {
        constexpr Space kSpaces[] = {Space::shared, Space::local, Space::frame, Space::param};
        made.space = kSpaces[static_cast<unsigned>(symbol->where)];
        made.offset = symbol->offset;
      } else {
        made.base = slot_of(word);
        if (made.base == kNone) fail("an address by an unknown name " + std::string(word));
      }
      if (accept("+")) made.offset += number<std::int64_t>(next());
      expect("]");
      return made;
    }
    const bool negated = accept("!");
    made.word = next();
    if (negated) fail("a negated operand is not understood");
    made.slots.push_back(slot_of(made.word));
    if (accept("|")) {
      made.second = next();
      made.slots.push_back(slot_of(made.second));
    }
    return made;
  }

  void instruction() {
    Instruction made;
    made.line = line();
    made.file = file_;
    made.source_line = source_line_;
    if (accept("@")) {
      made.guard_negated = accept("!");
      made.guard = slot_of(next());
      if (made.guard == kNone) fail("a guard that is no register");
    }
    const std::string_view opcode = next();
    const std::vector<std::string_view> parts = parts_of(opcode);
    made.cost = cost_of(opcode);
    if (parts[0] == "call") return call(made);
    std::vector<Operand> operands;
    while (!accept(";")) {
      operands.push_back(operand());
      accept(",");
    }
    if (parts[0] == "bra") {
      made.kind = Kind::branch;
      if (operands.size() != 1) fail(made.line, "bra takes a label");
      branches_.push_back({static_cast<std::uint32_t>(module_->code.size()), std::string(operands[0].word), made.line});
    } else if (parts[0] == "ret" || parts[0] == "exit") {
      made.kind = Kind::leave;
      if (parts[0] == "exit") fail(made.line, "exit is not understood");
    } else if (opcode == "prefetch.global.L2") {
      if (operands.size() != 1 || operands[0].base == kNone) fail(made.line, "a prefetch that is not understood");
      made.space = Space::global;
      made.address = operands[0].base;
      made.offset = operands[0].offset;
      made.prefetch = true;
      made.execute = [](Step&) {};
    } else if (parts[0] == "ld" || parts[0] == "st" || parts[0] == "atom" || parts[0] == "red") {
      memory(made, parts, operands);
    } else {
      other(made, opcode, parts, operands);
    }
    module_->code.push_back(made);
  }

  void memory(Instruction& made, const std::vector<std::string_view>& parts, const std::vector<Operand>& operands) {
    for (const std::string_view part : parts) {
      if (part == "global") made.space = Space::global;
      if (part == "shared") made.space = Space::shared;
      if (part == "local") made.space = Space::local;
      if (part == "param") made.space = Space::param;
      if (part == "nc") made.read_only_cache = true;
      if (part == "v2") made.count = 2;
      if (part == "v4") made.count = 4;
    }
    const Type type = type_of(parts.back());
    made.width = type.width;
    made.sign = type.sign;
    const std::size_t addresses = parts[0] == "st" || parts[0] == "red" ? 0 : 1;
    if (operands.size() <= addresses || !operands[addresses].address || type.width == 0) fail(made.line, "an access that is not understood");
    const Operand& where = operands[addresses];
    made.address = where.base;
    made.offset = where.offset;
    if (where.base == kNone) {
      if (made.space != Space::generic && where.space != made.space && !(made.space == Space::param && where.space == Space::frame)) fail(made.line, "a variable of another space");
      made.space = where.space;
    }
    const bool atomic = parts[0] == "atom" || parts[0] == "red";
    const Operand& values = operands[parts[0] == "ld" ? 0 : addresses == 0 ? 1 : 0];
    if (parts[0] == "ld" || parts[0] == "st") {
      if (operands.size() != 2 || values.slots.size() != made.count) fail(made.line, "an access that is not understood");
      for (std::size_t i = 0; i < values.slots.size(); ++i) (parts[0] == "ld" ? made.to[i] : made.from[i]) = values.slots[i];
    } else {
        if (values.slots.empty() || operands.back().slots.empty()) fail(made.line, "an atomic operation that is not understood");
      if (parts[0] == "atom") made.to[0] = values.slots[0];
      if (operands.size() != addresses + 2) fail(made.line, "an atomic operation that is not understood");
      made.from[0] = operands.back().slots[0];
    }
    if (parts[0] == "ld" || parts[0] == "st") {
      for (std::size_t i = 0; i < values.slots.size(); ++i)
        if (values.slots[i] == kNone || (parts[0] == "ld" && values.slots[i] >= kConstant)) fail(made.line, "an unknown register");
    } else if (made.from[0] == kNone || (parts[0] == "atom" && (made.to[0] == kNone || made.to[0] >= kConstant))) {
      fail(made.line, "an unknown register");
    }
    made.execute = access(parts, atomic);
    if (made.execute == nullptr) fail(made.line, "'" + joined(parts) + "' is not understood");
  }

  void other(Instruction& made, std::string_view opcode, const std::vector<std::string_view>& parts, const std::vector<Operand>& operands) {
    std::size_t results = parts[0] == "bar" || parts[0] == "barrier" || parts[0] == "membar" || parts[0] == "fence" ? 0 : 1;
    if (operands.size() < results) fail(made.line, "an instruction without operands");
    std::string name(opcode);
    std::size_t to = 0, from = 0;
    for (std::size_t i = 0; i < operands.size(); ++i) {
      const Operand& given = operands[i];
      if (given.address) fail(made.line, "'" + name + "' of memory is not understood");
      for (std::size_t k = 0; k < given.slots.size(); ++k) {
        std::uint32_t slot = given.slots[k];
        if (i >= results && slot == kNone && given.slots.size() == 1) slot = named(made, given.word);
        if (i < results ? slot >= kConstant && given.word != "_" && !given.slots.empty() && (slot != kNone || given.slots.size() == 1) : slot == kNone && given.slots.size() > 1)
          fail(made.line, "an unknown register");
        if (i < results ? to >= made.to.size() : from >= made.from.size()) fail(made.line, "too many operands");
        (i < results ? made.to[to++] : made.from[from++]) = slot;
      }
      if (given.slots.size() > 1 && given.word.empty()) name += (i < results ? ".unpack" : ".pack") + std::to_string(given.slots.size());
    }
    if (made.execute != nullptr) {  // named() knows what it is
      if (parts[0] != "mov" || from != 1) fail(made.line, "'" + name + "' of a name is not understood");
      return;
    }
    if (name == "bar.sync" && from == 2) name = "bar.sync of some";
    const Operation found = operation(name);
    made.kind = found.kind;
    made.execute = found.execute;
    made.contraction = found.contraction;
    made.width = type_of(parts.back()).width;
    if (made.to[1] != kNone && found.kind != Kind::shuffle && found.kind != Kind::shuffle_up && name.find(".unpack") == std::string::npos) fail(made.line, "'" + name + "' with two results is not understood");
    if (found.kind == Kind::plain && found.execute == nullptr) fail(made.line, "'" + name + "' is not understood");
    if (from != found.operands) fail(made.line, "'" + name + "' with another number of operands");
    if (found.kind == Kind::barrier && !known_barrier(made)) fail(made.line, "a barrier other than 0 for all, or another for a number of threads, is not understood");
  }

  bool known_barrier(const Instruction& barrier) const {
    const auto value = [&](std::uint32_t slot) { return slot >= kConstant && slot != kNone ? function_->constants[slot - kConstant][0] : ~std::uint64_t{0}; };
    return barrier.from[1] == kNone ? value(barrier.from[0]) == 0 : value(barrier.from[0]) == 1 && value(barrier.from[1]) % kLanes == 0;
  }

  /// mov of a special register or of a variable's address.
  std::uint32_t named(Instruction& made, std::string_view word) {
    if (word[0] == '%') {
      made.execute = special(word);
      if (made.execute == nullptr) fail(made.line, "the register " + std::string(word) + " is not understood");
      return kNone;
    }
    const Symbol* const symbol = symbol_of(word);
    if (symbol == nullptr) fail(made.line, "unknown name " + std::string(word));
    switch (symbol->where) {
      case Symbol::Where::shared: return constant(kSharedBias + symbol->offset);
      case Symbol::Where::param: return constant(kParamBias + symbol->offset);
      case Symbol::Where::local:
        made.offset = symbol->offset;
        made.execute = address_of_local();
        return kNone;
      case Symbol::Where::frame: break;
    }
    fail(made.line, "the address of a parameter is not understood");
  }

  void call(Instruction& made) {
    made.kind = Kind::call;
    made.target = static_cast<std::uint32_t>(module_->calls.size());
    Call what{};
    const auto list = [&](std::vector<std::uint32_t>& offsets) {
      expect("(");
      while (!accept(")")) {
        const Symbol* const symbol = symbol_of(next());
        if (symbol == nullptr || symbol->where != Symbol::Where::frame) fail(made.line, "a call with something that is no parameter");
        offsets.push_back(symbol->offset);
        accept(",");
      }
    };
    if (peek() == "(") {
      list(what.returned);
      expect(",");
    }
    const std::string callee(next());
    if (accept(",")) list(what.params);
    expect(";");
    unresolved_.push_back({made.target, callee, made.line});
    function_->callees.push_back(made.target);
    module_->calls.push_back(std::move(what));
    module_->code.push_back(made);
  }

  /// Fuses sums and differences with the products in them. A register that one instruction alone writes is as it was when the product was made.
  void contract() {
    std::unordered_map<std::uint32_t, std::uint32_t> writer;  // of a register: its only instruction, or kNone
    for (std::uint32_t i = function_->begin; i < module_->code.size(); ++i)
      for (const std::uint32_t slot : module_->code[i].to)
        if (slot != kNone && !writer.try_emplace(slot, i).second) writer[slot] = kNone;
    const auto only = [&](std::uint32_t slot) { return slot >= kConstant || (writer.count(slot) != 0 && writer[slot] != kNone); };
    for (std::uint32_t i = function_->begin; i < module_->code.size(); ++i) {
      Instruction& sum = module_->code[i];
      if (sum.contraction != Contraction::sum && sum.contraction != Contraction::difference) continue;
      for (unsigned k = 0; k < 2; ++k) {
        if (sum.from[k] >= kConstant || !only(sum.from[k])) continue;
        const Instruction& product = module_->code[writer[sum.from[k]]];
        if (product.contraction != Contraction::product || product.width != sum.width || product.guard != kNone || !only(product.from[0]) || !only(product.from[1])) continue;
        const std::uint32_t other = sum.from[1 - k];
        sum.execute = fused(sum.contraction, k == 0, sum.width);
        sum.from = {product.from[0], product.from[1], other, kNone, kNone};
        sum.contraction = Contraction::none;
        ++module_->contracted;
        break;
      }
    }
  }

  /// Gives an entry the shared variables of all that it may call.
  void gather_shared(std::uint32_t entry) {
    std::set<std::uint32_t> seen{entry};
    std::vector<std::uint32_t> open{entry};
    std::set<std::uint32_t> offsets;
    std::vector<Variable> all;
    while (!open.empty()) {
      const Function& function = module_->functions[open.back()];
      open.pop_back();
      for (const Variable& variable : function.shared)
        if (offsets.insert(variable.offset).second) all.push_back(variable);
      for (const std::uint32_t callee : function.callees)
        if (seen.insert(callee).second) open.push_back(callee);
    }
    module_->functions[entry].shared = std::move(all);
  }

  static std::string joined(const std::vector<std::string_view>& parts) {
    std::string all(parts[0]);
    for (std::size_t i = 1; i < parts.size(); ++i) all += "." + std::string(parts[i]);
    return all;
  }

  struct Branch { std::uint32_t index; std::string label; std::uint32_t line; };
  struct Unresolved { std::uint32_t index; std::string callee; std::uint32_t line; };

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  std::unique_ptr<Module> module_;
  bool contract_;
  std::unordered_map<std::string, Symbol> shared_;
  std::vector<Unresolved> unresolved_;
  // Of the function that is being read
  Function* function_ = nullptr;
  std::unordered_map<std::string, Symbol> symbols_;
  std::unordered_map<std::string, std::uint32_t> registers_, labels_;
  std::unordered_map<std::uint64_t, std::uint32_t> constants_;
  std::set<std::uint32_t> shared_used_;
  std::vector<Branch> branches_;
  std::uint32_t file_ = 0, source_line_ = 0;
};
}  // namespace

std::unique_ptr<Module> parse(std::string_view text, const std::string& name, bool contract) { return Parser(text, name, contract).parse(); }

}  // namespace heirmark::emulator
