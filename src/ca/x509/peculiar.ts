// The library fails on import unless this has run; no other module may import either.
import 'reflect-metadata';

export * as x509 from '@peculiar/x509';
