export const film = (size) => Uint8Array.from({ length: size }, (_, n) => n % 251);
