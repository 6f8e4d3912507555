// Feeds a machine with garbage: random cartridges, snapshots, RAM and buttons. Built with
// sanitizers (cmake -DMARIO_FUZZ=ON -DMARIO_SANITIZE=address,undefined) it proves that nothing of
// it leaves its bounds. Usage: fuzz_driver SEED ROUNDS [CARTRIDGE]
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

struct Fuzzer {
  std::mt19937 random;
  Bytes game;

  unsigned below(unsigned limit) { return static_cast<unsigned>(random() % limit); }

  Bytes random_bytes(std::size_t count) {
    Bytes bytes(count);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    return bytes;
  }

  void damage(Bytes& bytes) {
    for (unsigned i = 1 + below(8); i > 0 && !bytes.empty(); --i) {
      bytes[below(static_cast<unsigned>(bytes.size()))] ^= static_cast<std::uint8_t>(1u << below(8));
    }
    if (below(4) == 0) bytes.resize(below(static_cast<unsigned>(bytes.size()) + 1));
  }

  // A cartridge of random bytes, or the game with some of them changed.
  Bytes cartridge() {
    if (!game.empty() && below(2)) {
      Bytes image = game;
      for (unsigned i = below(200); i > 0; --i) {
        image[16 + below(static_cast<unsigned>(image.size()) - 16)] =
            static_cast<std::uint8_t>(random());
      }
      return image;
    }
    Bytes image = {'N', 'E', 'S', 0x1a, 2, 1, static_cast<std::uint8_t>(below(2))};
    image.resize(16);
    const Bytes rest = random_bytes(0x8000 + 0x2000);
    image.insert(image.end(), rest.begin(), rest.end());
    return image;
  }

  ObservationSpec spec() {
    ObservationSpec spec;
    spec.crop_top = static_cast<int>(below(2) ? 0 : below(240));
    spec.height = 1 + static_cast<int>(below(static_cast<unsigned>(240 - spec.crop_top)));
    spec.width = 1 + static_cast<int>(below(256));
    spec.grey = static_cast<Grey>(below(4));
    return spec;
  }
};

template <class Timing>
void load_garbage(Fuzzer& fuzz, Machine<Timing>& machine) {
  Bytes bytes = serialize(machine.save());
  if (fuzz.below(2)) {
    fuzz.damage(bytes);
  } else {
    // Garbage that mostly passes: memory at random, the numbers as they are.
    for (std::size_t i = 1; i < 4385; ++i) bytes[i] = static_cast<std::uint8_t>(fuzz.random());
    for (std::size_t i = 0; i < 4384; ++i) bytes[4437 + i] = bytes[1 + i];
  }
  Saved saved;
  if (deserialize(bytes.data(), bytes.size(), saved).empty()) {
    machine.load(saved);
    if (serialize(machine.save()) != bytes) std::abort();
  }
}

template <class Timing>
void play(Fuzzer& fuzz) {
  Bytes image = fuzz.cartridge();
  if (fuzz.below(8) == 0) fuzz.damage(image);
  std::shared_ptr<const Cartridge> cartridge;
  try {
    cartridge = Cartridge::parse(image.data(), image.size());
  } catch (const std::invalid_argument&) {
    return;
  }
  auto machine = std::make_unique<Machine<Timing>>(cartridge);
  const Observer observer(fuzz.spec());
  Bytes out(observer.size());
  for (int i = 0; i < 60; ++i) {
    if (fuzz.below(10) == 0) load_garbage(fuzz, *machine);
    for (unsigned n = fuzz.below(4); n > 0; --n) {
      machine->ram()[fuzz.below(2048)] = static_cast<std::uint8_t>(fuzz.random());
    }
    const bool draw = fuzz.below(2) != 0;
    machine->step(static_cast<std::uint8_t>(fuzz.random()), 1 + static_cast<int>(fuzz.below(3)), draw);
    if (fuzz.below(3) == 0) observer.observe(machine->picture(), out.data());
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  Fuzzer fuzz{std::mt19937(static_cast<unsigned>(std::atoi(argv[1]))), {}};
  if (argc > 3) {
    std::ifstream file(argv[3], std::ios::binary);
    fuzz.game.assign(std::istreambuf_iterator<char>(file), {});
  }
  const int rounds = std::atoi(argv[2]);
  for (int round = 0; round < rounds; ++round) {
    play<ConsoleTiming>(fuzz);
    play<NesPyTiming>(fuzz);
  }
  std::printf("%d rounds\n", rounds);
  return 0;
}
