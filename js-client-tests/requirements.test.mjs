// What applications require of authentication and authorization, with the client in Node.
import { nothingLogged, requirements } from './requirements.mjs';
import { World } from './support/world.mjs';

requirements(World);
nothingLogged();
