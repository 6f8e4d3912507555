// Feeds a machine with garbage: random cartridges, headers, snapshots, RAM and buttons. Built with
// sanitizers (cmake -DMARIO_FUZZ=ON -DMARIO_SANITIZE=address,undefined) it proves that nothing of
// it leaves its bounds. Usage: fuzz_driver SEED INPUTS [CARTRIDGE]
//
// Prints how many inputs of each kind there were, and a checksum of all that came of them: the same
// on every machine and for every way to build it.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

#include "machine.hpp"
#include "observation.hpp"

using namespace mario;

namespace {

using Bytes = std::vector<std::uint8_t>;

struct Counts {
  long frames = 0, writes = 0, snapshots = 0, loaded = 0, headers = 0, accepted = 0, pictures = 0;

  long inputs() const { return frames + writes + snapshots + headers; }
};

struct Fuzzer {
  std::mt19937 random;
  Bytes game;
  Counts counts{};
  std::uint64_t checksum = 14695981039346656037u;

  unsigned below(std::size_t limit) { return static_cast<unsigned>(random() % limit); }
  std::uint8_t byte() { return static_cast<std::uint8_t>(random()); }

  void note(const std::uint8_t* bytes, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) checksum = (checksum ^ bytes[i]) * 1099511628211u;
  }

  void damage(Bytes& bytes) {
    for (unsigned i = 1 + below(8); i > 0 && !bytes.empty(); --i) {
      bytes[below(bytes.size())] ^= static_cast<std::uint8_t>(1u << below(8));
    }
    if (below(4) == 0) bytes.resize(below(bytes.size() + 1));
  }

  // A cartridge of random bytes, or the game with some of them changed.
  Bytes cartridge() {
    if (!game.empty() && below(2)) {
      Bytes image = game;
      for (unsigned i = below(200); i > 0; --i) image[16 + below(image.size() - 16)] = byte();
      return image;
    }
    Bytes image = {'N', 'E', 'S', 0x1a, 2, 1, static_cast<std::uint8_t>(below(2))};
    image.resize(16);
    while (image.size() < 16 + 0x8000 + 0x2000) image.push_back(byte());
    return image;
  }

  ObservationSpec spec() {
    ObservationSpec spec;
    if (below(2)) {  // the usual one: its loops have vector instructions
      spec.height = spec.width = 84;
      spec.crop_top = below(2) ? 32 : 0;
    } else {
      spec.crop_top = static_cast<int>(below(2) ? 0 : below(240));
      spec.height = 1 + static_cast<int>(below(static_cast<std::size_t>(240 - spec.crop_top)));
      spec.width = 1 + static_cast<int>(below(256));
    }
    spec.grey = static_cast<Grey>(below(4));
    return spec;
  }
};

std::shared_ptr<const Cartridge> parse(Fuzzer& fuzz, const std::uint8_t* bytes, std::size_t size) {
  ++fuzz.counts.headers;
  try {
    auto cartridge = Cartridge::parse(bytes, size);
    ++fuzz.counts.accepted;
    return cartridge;
  } catch (const std::invalid_argument&) {
    return nullptr;
  }
}

// Damaged headers, and images that are too short for theirs: copied to memory of just their size,
// so that a byte read too many is noticed.
void parse_garbage(Fuzzer& fuzz, const Bytes& image) {
  Bytes header(image.begin(), image.begin() + 16);
  fuzz.damage(header);
  parse(fuzz, header.data(), header.size());
  if (fuzz.below(4)) return;
  Bytes damaged = image;
  for (unsigned i = 1 + fuzz.below(2); i > 0; --i) damaged[fuzz.below(16)] = fuzz.byte();
  if (fuzz.below(2)) damaged.resize(fuzz.below(damaged.size() + 1));
  damaged.shrink_to_fit();
  parse(fuzz, damaged.data(), damaged.size());
}

template <class Timing>
void load_garbage(Fuzzer& fuzz, Machine<Timing>& machine) {
  Bytes bytes = serialize(machine.save());
  if (fuzz.below(4)) {
    fuzz.damage(bytes);
    bytes.shrink_to_fit();
  } else {
    // Garbage that mostly passes: memory at random, the numbers as they are.
    for (std::size_t i = 1; i < 4385; ++i) bytes[i] = fuzz.byte();
    for (std::size_t i = 0; i < 4384; ++i) bytes[4437 + i] = bytes[1 + i];
  }
  Saved saved;
  ++fuzz.counts.snapshots;
  if (deserialize(bytes.data(), bytes.size(), saved).empty()) {
    ++fuzz.counts.loaded;
    machine.load(saved);
    if (serialize(machine.save()) != bytes) std::abort();
  }
}

template <class Timing>
void play(Fuzzer& fuzz) {
  const Bytes image = fuzz.cartridge();
  const auto cartridge = parse(fuzz, image.data(), image.size());
  auto machine = std::make_unique<Machine<Timing>>(cartridge);
  const Observer observer(fuzz.spec());
  Bytes out(observer.size());
  for (int i = 0; i < 200; ++i) {
    parse_garbage(fuzz, image);
    for (unsigned n = fuzz.below(4) ? 0 : 1 + fuzz.below(3); n > 0; --n) {
      load_garbage(fuzz, *machine);
    }
    for (unsigned n = fuzz.below(4); n > 0; --n, ++fuzz.counts.writes) {
      const unsigned at = fuzz.below(kRamSize);
      machine->ram()[at] = fuzz.byte();
    }
    for (unsigned n = 1 + fuzz.below(8); n > 0; --n, ++fuzz.counts.frames) {
      machine->set_second_joypad(fuzz.byte());
      machine->step(fuzz.byte(), 1, n == 1 && i % 2 == 0);
    }
    if (fuzz.below(3) == 0) {
      ++fuzz.counts.pictures;
      observer.observe(machine->picture(), out.data());
      fuzz.note(out.data(), out.size());
    }
    if (i % 8 == 0) fuzz.note(machine->ram(), kRamSize);
  }
  const Bytes last = serialize(machine->save());
  fuzz.note(last.data(), last.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  Fuzzer fuzz{std::mt19937(static_cast<unsigned>(std::atoi(argv[1]))), {}};
  if (argc > 3) {
    std::ifstream file(argv[3], std::ios::binary);
    fuzz.game.assign(std::istreambuf_iterator<char>(file), {});
  }
  const long wanted = std::atol(argv[2]);
  const Counts& counts = fuzz.counts;
  while (counts.inputs() < wanted) {
    play<ConsoleTiming>(fuzz);
    play<NesPyTiming>(fuzz);
  }
  std::printf("%ld inputs: %ld frames, %ld writes to RAM, %ld snapshots (%ld loaded), "
              "%ld cartridge images (%ld accepted); %ld pictures observed\n",
              counts.inputs(), counts.frames, counts.writes, counts.snapshots, counts.loaded,
              counts.headers, counts.accepted, counts.pictures);
  std::printf("checksum %016llx\n", static_cast<unsigned long long>(fuzz.checksum));
  return 0;
}
